import { codeOf, coreError, withCall } from '@mnops/core';
import type { Call, CallOptions, SecretProvider, SecretValue, Timer } from '@mnops/core/spi';
import type { AccessPolicy } from '../access/policy.js';
import type { AuditRecorder } from '../audit/recorder.js';
import { secretsError } from '../codes.js';
import { readGrace } from '../rotation/grace.js';
import type { Settings } from '../settings.js';
import type { SecretReader } from './reader.js';

/** A secret that is read once and followed: reads are synchronous and see every rotation. */
export interface SecretHandle extends AsyncDisposable {
  readonly path: string;
  /** The current value. Throws until `ready` has resolved once, after the secret is gone, and when the value is expired. */
  readonly current: SecretValue;
  /** Every value that must be accepted now: the current one, the one before while its grace lasts, the pending one of a rotation. */
  readonly accepted: readonly SecretValue[];
  /** Resolves with the current value once it was read; rejects with the failure of the first read. */
  ready(options?: CallOptions): Promise<SecretValue>;
  /** The listener is called after each change of the current value; the function that comes back removes it. */
  onChange(listener: (next: SecretValue, before: SecretValue | undefined) => void): () => void;
  /** Ends the following; the last values stay readable. */
  close(): void;
}

/** What a handle works with. */
export interface HandleContext {
  readonly settings: Settings;
  readonly provider: SecretProvider;
  readonly policy: AccessPolicy;
  readonly recorder: AuditRecorder;
  readonly reader: SecretReader;
  opened(): Promise<void>;
  retried<T>(call: Call, run: () => Promise<T>): Promise<T>;
}

interface Snapshot {
  readonly current: SecretValue | undefined;
  readonly pending: SecretValue | undefined;
  readonly previous: SecretValue | undefined;
  /** Wall clock until which the previous one is accepted; `Infinity` while a rotation has not fixed it. */
  readonly previousUntilMs: number;
}

const retryMs = 1_000;

/** The one implementation of `SecretHandle`. */
export class LiveHandle implements SecretHandle {
  readonly path: string;
  readonly #core: HandleContext;
  readonly #onClose: (handle: LiveHandle) => void;
  readonly #actor: string;
  readonly #listeners = new Set<(next: SecretValue, before: SecretValue | undefined) => void>();
  #state: Snapshot | undefined;
  #failure: unknown;
  #loading: Promise<void> | undefined;
  #again = false;
  #timer: Timer | undefined;
  #closed = false;

  constructor(core: HandleContext, actor: string, path: string, onClose: (handle: LiveHandle) => void) {
    this.#core = core;
    this.#onClose = onClose;
    this.#actor = actor;
    this.path = path;
    this.#loading = this.#load('read');
  }

  get current(): SecretValue {
    const value = this.#state?.current;
    if (value === undefined) throw this.#failure ?? notReady(this.path);
    const { expiresAt } = value;
    if (expiresAt !== undefined && this.#core.settings.clock.now() >= expiresAt.getTime())
      throw expired(this.path, value.version);
    return value;
  }

  get accepted(): readonly SecretValue[] {
    const { current } = this;
    const values = [current];
    const { previous, pending, previousUntilMs = 0 } = this.#state ?? {};
    if (previous !== undefined && this.#core.settings.clock.now() < previousUntilMs) values.push(previous);
    if (pending !== undefined) values.push(pending);
    return values;
  }

  async ready(options: CallOptions = {}): Promise<SecretValue> {
    const { timeoutMs = this.#core.settings.timeoutMs, signal } = options;
    if (this.#state?.current === undefined) {
      await withCall(
        { signal, timeoutMs, clock: this.#core.settings.clock },
        async () => this.#loading ?? this.refresh(),
      );
      if (this.#failure !== undefined) throw this.#failure;
    }
    return this.current;
  }

  onChange(listener: (next: SecretValue, before: SecretValue | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Reads anew; a change during a read makes it read once more. */
  async refresh(): Promise<void> {
    if (this.#closed) return;
    if (this.#loading !== undefined) {
      this.#again = true;
      return await this.#loading;
    }
    this.#loading = this.#load('refresh');
    await this.#loading;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#listeners.clear();
    this.#onClose(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #load(operation: 'read' | 'refresh'): Promise<void> {
    await Promise.resolve();
    let kind = operation;
    do {
      this.#again = false;
      await this.#loadOnce(kind);
      kind = 'refresh';
    } while (this.#again && !this.#closed);
    this.#loading = undefined;
    if (!this.#closed) this.#plan();
  }

  async #loadOnce(operation: 'read' | 'refresh'): Promise<void> {
    const { core, actor, path } = { core: this.#core, actor: this.#actor, path: this.path };
    let code: string | undefined;
    try {
      core.policy.assertAllowed(actor, 'read', path);
      const next = await withCall({ timeoutMs: core.settings.timeoutMs, clock: core.settings.clock }, (call) =>
        this.#read(call),
      );
      await core.recorder.record({ actor, operation, path, version: next.current?.version });
      if (!this.#closed) this.#take(next);
      return;
    } catch (error) {
      code = codeOf(error) ?? 'unknown';
      this.#failure = error;
      // Somebody who may not read any more, or whose secret is gone, must not go on using it.
      if (code === 'MNOPS_CORE_ACCESS_DENIED' || code === 'MNOPS_SECRETS_VERSION_UNAVAILABLE') this.#state = undefined;
    }
    await core.recorder.record({ actor, operation, path, code }).catch(() => undefined);
  }

  async #read(call: Call): Promise<Snapshot> {
    const { reader, provider, settings } = this.#core;
    await this.#core.opened();
    const record = await this.#core.retried(call, () => provider.describe(this.path, call));
    const grace = readGrace(record?.annotations);
    const pendingVersion = record?.stages['pending'];
    const graceLasts = grace !== undefined && settings.clock.now() < grace.untilMs && grace.version !== record?.version;
    const [current, pending, previous] = await Promise.all([
      // By the version that the facts name: all three belong to one moment.
      reader.fetch(this.path, { version: record?.version }, call),
      pendingVersion === undefined ? undefined : this.#readVersion(pendingVersion, call),
      graceLasts ? this.#readVersion(grace.version, call) : undefined,
    ]);
    return {
      current,
      pending: pending?.version === current?.version ? undefined : pending,
      previous,
      previousUntilMs: grace?.untilMs ?? 0,
    };
  }

  /** A version beside the current one may have been discarded meanwhile. */
  async #readVersion(version: string, call: Call): Promise<SecretValue | undefined> {
    try {
      return await this.#core.reader.fetch(this.path, { version }, call);
    } catch (error) {
      if (codeOf(error) === 'MNOPS_SECRETS_VERSION_UNAVAILABLE') return undefined;
      throw error;
    }
  }

  #take(next: Snapshot): void {
    const before = this.#state?.current;
    this.#state = next;
    this.#failure =
      next.current === undefined
        ? coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${this.path}.`, { details: { path: this.path } })
        : undefined;
    const { current } = next;
    if (current === undefined || before === undefined || current.version === before.version) return;
    for (const listener of [...this.#listeners]) {
      try {
        listener(current, before);
      } catch (error) {
        process.emitWarning(`A listener of the handle ${this.path} failed: ${codeOf(error) ?? 'unknown reason'}`);
      }
    }
  }

  /** Looks again by itself after a failure, and where the provider does not tell of changes. */
  #plan(): void {
    this.#timer?.cancel();
    const { settings, provider } = this.#core;
    const polling = provider.capabilities.watch === 'none' || provider.watch === undefined;
    if (this.#failure === undefined && !polling) return;
    const ttlMs = settings.cache?.ttlMs ?? 60_000;
    const waitMs = this.#failure === undefined ? ttlMs * (1 - 0.2 * Math.random()) : Math.min(retryMs, ttlMs);
    this.#timer = settings.clock.setTimer(waitMs, () => void this.refresh());
  }
}

function notReady(path: string): Error {
  return coreError('MNOPS_CORE_UNAVAILABLE', `The handle of ${path} has not read its secret yet.`, {
    remedy: 'Await `handle.ready()` before the first synchronous read.',
    details: { path },
  });
}

function expired(path: string, version: string): Error {
  return secretsError('MNOPS_SECRETS_EXPIRED', `Version ${version} of the secret ${path} is expired.`, {
    details: { path, version },
  });
}
