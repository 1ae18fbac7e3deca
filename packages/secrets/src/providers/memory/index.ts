import { coreError, systemClock } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import type { Clock, SecretCapabilities, SecretProvider, StoredSecret } from '@mnops/core/spi';
import * as v from 'valibot';
import { assertPath } from '../../path.js';
import { changeFeed } from '../../store/change-feed.js';
import type { Mutation } from '../../store/mutation.js';
import { VersionStore, versionStoreCapabilities } from '../../store/version-store.js';

/** How a store in memory is made. */
export interface MemoryOptions {
  /** Values by path that are there from the start, as text. */
  readonly values?: Readonly<Record<string, string>> | undefined;
  readonly clock?: Pick<Clock, 'now'> | undefined;
}

const capabilities: SecretCapabilities = { ...versionStoreCapabilities, durable: false };

const optionsSchema = v.strictObject({
  values: v.optional(v.record(v.string(), v.string())),
  clock: v.optional(
    v.custom<Pick<Clock, 'now'>>(
      (value) => typeof (value as Partial<Clock> | null)?.now === 'function',
      'a clock with now',
    ),
  ),
});

/** Keeps secrets in this process only, with every ability of the embedded vault. For tests and short-lived programs. */
export function memory(options: MemoryOptions = {}): SecretProvider {
  const { values = {}, clock = systemClock() } = parseOptions('memory', optionsSchema, options);
  for (const path of Object.keys(values)) assertPath(path);
  const store = new VersionStore<Uint8Array>();
  const feed = changeFeed();
  let closed = false;

  function commit(mutation: Mutation, value?: Uint8Array): void {
    store.apply(mutation, value);
    feed.publish({ path: mutation.path });
  }

  function assertOpen(): void {
    if (closed) throw coreError('MNOPS_CORE_CLOSED', 'The store in memory is closed.', { provider: 'memory' });
  }

  for (const [path, text] of Object.entries(values)) {
    const token = `initial:${path}`;
    const mutation = store.planPut(path, { token, stages: ['current'] }, clock.now());
    if ('kind' in mutation) store.apply(mutation, Buffer.from(text));
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'memory',
    capabilities,
    async close() {
      closed = true;
      feed.close();
    },
    async get(path, at, call) {
      call.signal.throwIfAborted();
      assertOpen();
      const found = store.find(path, at);
      if (found?.value === undefined) return undefined;
      const { version, createdAtMs, expiresAtMs, contentType } = found;
      const stored: StoredSecret = {
        value: Uint8Array.from(found.value),
        version: String(version),
        stages: store.stagesOf(path, version),
        createdAtMs,
        expiresAtMs,
        contentType,
      };
      return stored;
    },
    async put(path, value, putOptions, call) {
      call.signal.throwIfAborted();
      assertOpen();
      const planned = store.planPut(path, putOptions, clock.now());
      if (!('kind' in planned)) return planned;
      commit(planned, Uint8Array.from(value));
      return store.versions(path).find(({ version }) => version === String(planned.version))!;
    },
    async describe(path, call) {
      call.signal.throwIfAborted();
      assertOpen();
      return store.describe(path);
    },
    async *listVersions(path, call) {
      call.signal.throwIfAborted();
      assertOpen();
      yield* store.versions(path);
    },
    async *list(prefix, call) {
      assertOpen();
      for (const path of store.paths(prefix)) {
        call.signal.throwIfAborted();
        const record = store.describe(path);
        if (record !== undefined) yield record;
      }
    },
    async annotate(path, change, call) {
      call.signal.throwIfAborted();
      assertOpen();
      store.assertExists(path);
      commit({ kind: 'annotate', path, ...change, atMs: clock.now() });
    },
    async setStage(path, stage, { from, to }, call) {
      call.signal.throwIfAborted();
      assertOpen();
      commit(store.planStage(path, stage, from, to, clock.now()));
    },
    async delete(path, { versions, permanent = false }, call) {
      call.signal.throwIfAborted();
      assertOpen();
      if (store.has(path)) commit({ kind: 'delete', path, versions, permanent, atMs: clock.now() });
    },
    async restore(path, { versions }, call) {
      call.signal.throwIfAborted();
      assertOpen();
      store.assertExists(path, versions);
      commit({ kind: 'restore', path, versions, atMs: clock.now() });
    },
    watch(prefix, call) {
      assertOpen();
      return feed.watch(prefix, call.signal);
    },
  };
}
