import { basename, dirname, resolve } from 'node:path';
import { coreError, systemClock } from '@mnops/core';
import { durationMsSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { KeyRing } from '@mnops/core/crypto';
import type { Call, Clock, KeyWrapper, Recoverable, SecretProvider, StoredSecret } from '@mnops/core/spi';
import * as v from 'valibot';
import { type ChangeFeed, changeFeed } from '../../store/change-feed.js';
import { versionStoreCapabilities } from '../../store/version-store.js';
import { watchPlace } from '../../store/watch-place.js';
import { VaultFile, type VaultVerification } from './vault-file.js';
import { vaultRecoverable } from './vault-recoverable.js';

export type { VaultVerification } from './vault-file.js';

/** Where a vault is, and what opens it. */
export interface EncryptedFileOptions {
  /** Path of the vault. File and folder are made at the first write. */
  readonly file: string;
  /** Key that wraps the data keys: `keyFile()`, `passphraseKey()`, `rawKey()`, or a ring of them. */
  readonly key: KeyWrapper | KeyRing;
  /** Milliseconds within which a change by another process is seen by whoever watches; 10 to 60,000. Default 1,000. */
  readonly reloadIntervalMs?: number | undefined;
  readonly clock?: Pick<Clock, 'now'> | undefined;
}

/** A provider on one encrypted file. */
export interface EncryptedFileProvider extends SecretProvider {
  readonly recoverable: Recoverable;
  /** Opens every value once. */
  verify(call: Call): Promise<VaultVerification>;
  /** Writes the file anew without what was overwritten and destroyed, under a new record key; readers follow. */
  compact(call: Call): Promise<void>;
  /**
   * Wraps every data key with another key; values and versions stay. Give the other processes a ring that holds the new key
   * before (`keyRing(old, [next])`), and they go on reading; afterwards `keyRing(next, [old])`, and then `next` alone.
   *
   * @returns How many values are wrapped with the new key now.
   */
  rewrap(options: RewrapOptions, call: Call): Promise<{ readonly values: number; readonly keyId: string }>;
}

/** What a vault is rewrapped with. */
export interface RewrapOptions {
  readonly to: KeyWrapper;
  /** Hears of each value, with the number of all. */
  readonly onProgress?: ((done: number, of: number) => void) | undefined;
}

const optionsSchema = v.strictObject({
  file: textSchema,
  key: v.custom<KeyWrapper | KeyRing>(isKey, 'a key: keyFile(), passphraseKey(), rawKey() or keyRing()'),
  reloadIntervalMs: v.optional(v.pipe(durationMsSchema, v.minValue(10), v.maxValue(60_000)), 1_000),
  clock: v.optional(v.custom<Pick<Clock, 'now'>>((value) => typeof (value as Clock).now === 'function', 'a clock')),
});

const rewrapSchema = v.strictObject({
  to: v.custom<KeyWrapper>(isWrapper, 'a key: keyFile(), passphraseKey() or rawKey()'),
  onProgress: v.optional(
    v.custom<(done: number, of: number) => void>((value) => typeof value === 'function', 'a function'),
  ),
});

/**
 * Keeps secrets in one encrypted file: no server, any number of processes. Each value is sealed with a key of its own,
 * paths and facts are sealed too. An acknowledged write survives `kill -9` and power loss. Processes write in turn and
 * see each other's changes at the next uncached read, watchers within `reloadIntervalMs`. The layout is in
 * `docs/formats/vault.md`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for options. At use: `MNOPS_SECRETS_SEALED` without a key,
 * `MNOPS_CORE_KEY_INVALID` with a wrong one, `MNOPS_CORE_STORAGE_UNREADABLE` for a foreign file, another version or a
 * header with both copies damaged, `MNOPS_CORE_STORAGE_FAILED`, `MNOPS_CORE_LOCKED`.
 */
export function encryptedFile(options: EncryptedFileOptions): EncryptedFileProvider {
  const {
    key,
    reloadIntervalMs,
    clock = systemClock(),
    ...given
  } = parseOptions('encryptedFile', optionsSchema, options);
  const feed = changeFeed();
  const vault = new VaultFile({ file: resolve(given.file), key, clock, onChange: (change) => feed.publish(change) });
  const watching = watchWhileNeeded(vault, feed, reloadIntervalMs);

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'encrypted-file',
    capabilities: { ...versionStoreCapabilities, propagationMs: reloadIntervalMs },
    recoverable: vaultRecoverable(vault),
    async open(call) {
      await vault.refresh(call);
      await vault.openKey(call);
    },
    async close() {
      watching.end();
      feed.close();
      await vault.close();
    },
    async get(path, at, call) {
      await vault.refresh(call);
      const found = vault.store.find(path, at);
      if (found?.value === undefined) return undefined;
      const { version, createdAtMs, expiresAtMs, contentType } = found;
      const value = await vault.openValue(path, version, found.value, call);
      const stages = vault.store.stagesOf(path, version);
      const stored: StoredSecret = { value, version: String(version), stages, createdAtMs, expiresAtMs, contentType };
      return stored;
    },
    put: (path, value, putOptions, call) => vault.put(path, value, putOptions, call),
    async describe(path, call) {
      await vault.refresh(call);
      return vault.store.describe(path);
    },
    async *listVersions(path, call) {
      await vault.refresh(call);
      yield* vault.store.versions(path);
    },
    async *list(prefix, call) {
      await vault.refresh(call);
      for (const path of vault.store.paths(prefix)) {
        call.signal.throwIfAborted();
        const record = vault.store.describe(path);
        if (record !== undefined) yield record;
      }
    },
    async annotate(path, change, call) {
      await vault.change(call, () => {
        vault.store.assertExists(path);
        return { kind: 'annotate', path, ...change, atMs: clock.now() };
      });
    },
    async setStage(path, stage, { from, to }, call) {
      await vault.change(call, () => vault.store.planStage(path, stage, from, to, clock.now()));
    },
    async delete(path, { versions, permanent = false }, call) {
      await vault.change(call, () => {
        if (!vault.store.has(path)) return undefined;
        return { kind: 'delete', path, versions, permanent, atMs: clock.now() };
      });
    },
    async restore(path, { versions }, call) {
      await vault.change(call, () => {
        vault.store.assertExists(path, versions);
        return { kind: 'restore', path, versions, atMs: clock.now() };
      });
    },
    watch(prefix, call) {
      vault.assertOpen();
      const changes = feed.watch(prefix, call.signal);
      watching.begin();
      return changes;
    },
    damage: () => vault.damage,
    verify: (call) => vault.verify(call),
    compact: (call) => vault.compact(call),
    async rewrap(given, call) {
      const { to, onProgress } = parseOptions('rewrap', rewrapSchema, given);
      const values = await vault.rewrap(to, onProgress ?? (() => undefined), call);
      return { values, keyId: to.keyId };
    },
  };
}

function watchWhileNeeded(vault: VaultFile, feed: ChangeFeed, intervalMs: number): { begin(): void; end(): void } {
  let stop: (() => void) | undefined;
  const end = (): void => {
    stop?.();
    stop = undefined;
  };
  // Half the interval, so that looking and reading together stay within it.
  const look = async (): Promise<void> => {
    if (feed.watchers === 0) end();
    else await vault.refresh(backgroundCall());
  };
  return {
    begin() {
      stop ??= watchPlace(
        { folder: dirname(vault.file), file: basename(vault.file), intervalMs: intervalMs / 2, settleMs: 5 },
        look,
      );
    },
    end,
  };
}

/** A call of work that nobody waits for: without a deadline, a signal or references. */
function backgroundCall(): Call {
  return {
    signal: new AbortController().signal,
    remainingMs: () => Number.POSITIVE_INFINITY,
    secret: async () => {
      throw coreError('MNOPS_CORE_CONFIG_INVALID', 'The key of a vault refers to a secret, but no resolver was given.');
    },
  };
}

function isKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, current } = value as { readonly kind?: unknown; readonly current?: unknown };
  return isWrapper(value) || (kind === 'key-ring' && isWrapper(current));
}

function isWrapper(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { readonly kind?: unknown }).kind === 'key-wrapper';
}
