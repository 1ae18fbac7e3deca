import { tracingChannel } from 'node:diagnostics_channel';
import { setMaxListeners } from 'node:events';
import { coreError, MnopsError } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type { CallOptions, SecretChange, SecretValue } from '@mnops/core/spi';
import { secretsError } from './codes.js';
import {
  type ExportOptions,
  exportSecrets,
  type ImportOptions,
  type ImportReport,
  importSecrets,
} from './exchange/exchange.js';
import type { LeaseOptions, SecretLease } from './leases/secret-lease.js';
import { assertPath, assertPrefix } from './path.js';
import type { SecretHandle } from './read/handle.js';
import type { SecretReader } from './read/reader.js';
import { assertWatchable, watchSecrets } from './read/watch.js';
import { useSecret } from './read/with-secret.js';
import { resolveReference, resolveTexts } from './resolve.js';
import type {
  ManySecrets,
  ReadOptions,
  SecretInput,
  SecretMetadata,
  SecretOperations,
  SecretVersion,
  WriteOptions,
} from './secret-operations.js';
import type { SecretsCore } from './secrets-core.js';
import { toMetadata } from './write/metadata.js';
import { SecretWriter } from './write/writer.js';

/** Calls to the provider that one `getMany` makes at once. */
const manyAtOnce = 20;
const batchesAtOnce = 5;

/** Everything that one actor can do with one manager's secrets. */
export class ActorOperations implements SecretOperations {
  readonly #core: SecretsCore;
  readonly #reader: SecretReader;
  readonly #actor: string;
  readonly #writer: SecretWriter;
  /** Whether a cached value may be handed out without asking the rules. */
  readonly #unrestricted: boolean;
  readonly #readChannel = tracingChannel('mnops:secrets:read');

  constructor(core: SecretsCore, actor: string) {
    this.#core = core;
    this.#reader = core.reader;
    this.#actor = actor;
    this.#writer = new SecretWriter(core, actor);
    this.#unrestricted = !core.policy.restricts;
  }

  get(path: string, options?: ReadOptions): Promise<SecretValue | undefined> {
    if (options === undefined && this.#unrestricted && !this.#readChannel.hasSubscribers) {
      const entry = this.#core.recorder.takesCachedReads ? this.#reader.fresh(path) : undefined;
      if (entry !== undefined) return this.#core.recorder.recordCached(this.#actor, path, entry);
    }
    return this.#get(path, options ?? {});
  }

  async getOrThrow(path: string, options?: ReadOptions): Promise<SecretValue> {
    const value = await this.get(path, options);
    if (value === undefined)
      throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}.`, { details: { path } });
    return value;
  }

  async getMany(paths: Iterable<string>, options: ReadOptions = {}): Promise<ManySecrets> {
    // A text is a list of characters to JavaScript: each would be looked for as a path of its own.
    if (typeof paths === 'string' || typeof paths?.[Symbol.iterator] !== 'function')
      throw wrongOption('getMany', 'paths', 'a list of paths');
    const many: ManySecrets = { found: new Map(), absent: [], failed: new Map() };
    const waiting = [...new Set(paths)];
    const own = { ...options, signal: options.signal && sharedSignal(options.signal) };
    const work = async (): Promise<void> => {
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        try {
          const value = await this.#get(path, own);
          if (value === undefined) many.absent.push(path);
          else many.found.set(path, value);
        } catch (error) {
          if (!MnopsError.is(error)) throw error;
          many.failed.set(path, error);
        }
      }
    };
    const { batchGet } = this.#core.provider.capabilities;
    const atOnce = Math.min(waiting.length, Math.max(manyAtOnce, batchGet * batchesAtOnce));
    await Promise.all(Array.from({ length: atOnce }, work));
    return many;
  }

  handle(path: string): SecretHandle {
    this.#core.lifecycle.assertUsable();
    assertPath(path);
    return this.#core.handles.open(this.#core, this.#actor, path);
  }

  withSecret<T>(
    path: string,
    use: (secret: SecretValue) => Promise<T>,
    options: CallOptions & { readonly isAuthError?: ((error: unknown) => boolean) | undefined } = {},
  ): Promise<T> {
    const { signal, timeoutMs, isAuthError } = options;
    const read = (more: ReadOptions): Promise<SecretValue | undefined> =>
      this.#get(path, { signal, timeoutMs, ...more });
    return useSecret(path, read, use, isAuthError);
  }

  create(path: string, value: SecretInput, options: WriteOptions = {}): Promise<SecretMetadata> {
    return this.#writer.create(path, value, options);
  }

  put(
    path: string,
    value: SecretInput,
    options: WriteOptions & { readonly ifVersion?: string | undefined } = {},
  ): Promise<SecretMetadata> {
    return this.#writer.put(path, value, options);
  }

  update(path: string, next: (now: SecretValue) => SecretInput, options: WriteOptions = {}): Promise<SecretMetadata> {
    return this.#writer.update(path, next, options);
  }

  describe(path: string, options: CallOptions = {}): Promise<SecretMetadata | undefined> {
    return this.#writer.describe(path, options);
  }

  setExpiry(path: string, at: Date | null, options: CallOptions = {}): Promise<SecretMetadata> {
    return this.#writer.setExpiry(path, at, options);
  }

  versions(path: string, options: CallOptions = {}): AsyncIterable<SecretVersion> {
    return this.#writer.versions(path, options);
  }

  rollback(
    path: string,
    options: CallOptions & { readonly toVersion?: string | undefined } = {},
  ): Promise<SecretMetadata> {
    return this.#writer.rollback(path, options);
  }

  async *list(
    prefix = '',
    options: CallOptions & { readonly includeDeleted?: boolean | undefined } = {},
  ): AsyncGenerator<SecretMetadata, void> {
    const { policy, provider, recorder, lifecycle } = this.#core;
    lifecycle.assertUsable();
    assertPrefix(prefix);
    const path = `${prefix}*`;
    const records = await traced('mnops:secrets:list', { provider: provider.id, path }, async (context) => {
      // Each path is held to the rules; the record says which part of the store was looked at.
      await recorder.record({ actor: this.#actor, operation: 'list', path });
      const found = await this.#core.provide(options, async (call) => {
        const all = [];
        for await (const record of provider.list(prefix, call)) all.push(record);
        return all;
      });
      context['outcome'] = 'ok';
      return found;
    });
    for (const record of records) {
      this.#core.expiries.noted(record);
      if (record.deletedAtMs !== undefined && options.includeDeleted !== true) continue;
      if (policy.explain(this.#actor, 'list', record.path).allowed) yield toMetadata(provider, record);
    }
  }

  delete(
    path: string,
    options: CallOptions & {
      readonly versions?: readonly string[] | undefined;
      readonly permanent?: boolean | undefined;
      readonly recoveryDays?: number | undefined;
    } = {},
  ): Promise<void> {
    return this.#writer.delete(path, options);
  }

  restore(
    path: string,
    options: CallOptions & { readonly versions?: readonly string[] | undefined } = {},
  ): Promise<SecretMetadata> {
    return this.#writer.restore(path, options);
  }

  watch(prefix = '', options: Pick<CallOptions, 'signal'> = {}): AsyncIterable<SecretChange> {
    this.#core.lifecycle.assertUsable();
    assertPrefix(prefix);
    assertWatchable(this.#core);
    return watchSecrets(this.#core, this.#actor, prefix, options);
  }

  async lease(path: string, options: LeaseOptions = {}): Promise<SecretLease> {
    const { ttlMs } = options;
    if (ttlMs !== undefined && !(Number.isFinite(ttlMs) && ttlMs > 0))
      throw wrongOption('lease', 'ttlMs', 'milliseconds, more than 0');
    return await this.#core.leases.open(this.#actor, path, options);
  }

  importFrom(text: string, options: ImportOptions): Promise<ImportReport> {
    return importSecrets(this, text, options);
  }

  exportTo(prefix: string, options: ExportOptions): Promise<string> {
    return exportSecrets(this, prefix, options);
  }

  resolveAll<T>(config: T, options: CallOptions = {}): Promise<T> {
    return resolveTexts(config, (reference) =>
      resolveReference(this, reference, options).then((found) => found.reveal()),
    );
  }

  async #get(path: string, options: ReadOptions): Promise<SecretValue | undefined> {
    assertReadOptions(options);
    return await this.#core.operate(this.#actor, 'read', path, async (facts) => {
      const { value, cached } = await this.#core.reader.read(path, options);
      facts.cached = cached;
      facts.version = value?.version;
      if (value?.expiresAt !== undefined && options.allowExpired !== true) this.#assertUnexpired(value);
      return value;
    });
  }

  #assertUnexpired({ path, version, expiresAt }: SecretValue): void {
    if (expiresAt === undefined || this.#core.settings.clock.now() < expiresAt.getTime()) return;
    throw secretsError(
      'MNOPS_SECRETS_EXPIRED',
      `Version ${version} of the secret ${path} expired at ${expiresAt.toISOString()}.`,
      {
        details: { path, version, expiredAt: expiresAt.toISOString() },
      },
    );
  }
}

/** For many reads at once: Node warns of a leak where more than 10 listen to the caller's own signal. */
function sharedSignal(signal: AbortSignal): AbortSignal {
  const shared = AbortSignal.any([signal]);
  setMaxListeners(0, shared);
  return shared;
}

function assertReadOptions({ maxAgeMs, version, stage }: ReadOptions): void {
  const wrong =
    (maxAgeMs !== undefined && !(maxAgeMs >= 0) && 'maxAgeMs') ||
    (version !== undefined && !isName(version) && 'version') ||
    (stage !== undefined && !isName(stage) && 'stage');
  if (wrong === false) return;
  const expected = wrong === 'maxAgeMs' ? 'milliseconds, not negative' : 'a text without control characters';
  throw wrongOption('get', wrong, expected);
}

function wrongOption(call: string, field: string, expected: string): Error {
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid options of ${call}: ${field}: expected ${expected}.`, {
    details: { issues: [{ field, expected, received: 'another value', remedy: `Set \`${field}\` to ${expected}.` }] },
  });
}

function isName(text: unknown): boolean {
  return typeof text === 'string' && text !== '' && !/\p{Cc}/u.test(text);
}
