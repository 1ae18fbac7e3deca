import { codeOf, coreError } from '@mnops/core';
import { type AuditLog, type AuditQuery, type AuditRecord, openAuditLog } from '@mnops/core/audit';
import type { Clock, JsonValue, SecretValue } from '@mnops/core/spi';
import type { SecretAction } from '../access/policy.js';
import type { CacheEntry } from '../read/cache.js';
import type { SecretAuditConfig } from '../secret-config.js';
import { PathHashes, pathKeyAt } from './path-hashes.js';

/** What is recorded of one operation. */
export interface RecordedOperation {
  readonly actor: string;
  readonly operation: SecretAction | 'refresh' | `rotate:${string}` | `lease:${string}`;
  readonly path: string;
  readonly version?: string | undefined;
  readonly cached?: boolean | undefined;
  readonly code?: string | undefined;
}

/** One line of the audit log. */
export interface AuditLogEntry {
  /** Number of the entry among those of its writer. */
  readonly sequence: number;
  /** Process that wrote it; each has a chain of its own. */
  readonly writer: string;
  readonly at: Date;
  readonly actor: string;
  /** An action, `refresh` for what a handle read by itself, `rotate:<step>` or `lease:<step>`. */
  readonly operation: string;
  /** With `audit.hashPaths`, `hmac-sha256:` and the hash of the path. */
  readonly path: string;
  readonly version?: string | undefined;
  readonly provider: string;
  readonly outcome: 'ok' | 'denied' | 'failed';
  readonly code?: string | undefined;
  /** Whether the provider was not asked. */
  readonly cached: boolean;
  readonly previousHash: string;
  readonly hash: string;
}

const queued = { wait: false } as const;

const passedOn: readonly (string | undefined)[] = [
  'MNOPS_CORE_CLOSED',
  'MNOPS_CORE_CONFIG_INVALID',
  'MNOPS_CORE_KEY_INVALID',
];

/** Key for the hashes of paths: the bytes, the file that holds them, or none. */
export type PathKey = { readonly key: Uint8Array } | { readonly file: string } | undefined;

/** Records each operation once, durably before its result is handed out, except reads from the cache, which are queued. */
export class AuditRecorder {
  readonly #config: Omit<SecretAuditConfig, 'reads' | 'hashPaths'> | undefined;
  readonly #pathKey: PathKey;
  readonly #reads: 'all' | 'uncached' | 'none';
  readonly #provider: string;
  readonly #service: string;
  readonly #clock: Clock;
  #opening: Promise<AuditLog> | undefined;
  #log: AuditLog | undefined;
  #hashes: PathHashes | undefined;
  #failed = false;

  constructor(options: {
    readonly config: Omit<SecretAuditConfig, 'reads' | 'hashPaths'> | undefined;
    readonly pathKey?: PathKey;
    readonly reads: 'all' | 'uncached' | 'none';
    readonly provider: string;
    readonly service: string;
    readonly clock: Clock;
  }) {
    this.#config = options.config;
    this.#pathKey = options.pathKey;
    this.#reads = options.reads;
    this.#provider = options.provider;
    this.#service = options.service;
    this.#clock = options.clock;
  }

  get durable(): boolean {
    return this.#config?.folder !== undefined || this.#config?.sink !== undefined;
  }

  /** Whether a read from the cache can be recorded by `recordCached` at once: the log is open and works, or wants none. */
  get takesCachedReads(): boolean {
    return this.#reads !== 'all' || this.#config === undefined || (this.#log !== undefined && !this.#failed);
  }

  /** The log, or `undefined` when auditing is off. Nothing is done whose record could not be written. */
  async ready(): Promise<AuditLog | undefined> {
    const config = this.#config;
    if (config === undefined) return undefined;
    if (this.#log === undefined) {
      this.#opening ??= this.#open(config).catch((error: unknown) => {
        this.#opening = undefined;
        throw unavailable('cannot be opened', error);
      });
      this.#log = await this.#opening;
    }
    if (this.#failed) {
      await this.#log.flush().catch((error: unknown) => {
        throw unavailable('cannot be written', error);
      });
      this.#failed = false;
    }
    return this.#log;
  }

  async #open(config: Omit<SecretAuditConfig, 'reads' | 'hashPaths'>): Promise<AuditLog> {
    const given = this.#pathKey;
    if (given !== undefined) this.#hashes = new PathHashes('key' in given ? given.key : await pathKeyAt(given.file));
    return await openAuditLog({ ...config, service: this.#service, clock: this.#clock });
  }

  /** Entries that match, oldest first; a target is a path, whether it was recorded as it is or as its hash. */
  async *query(query: AuditQuery = {}): AsyncGenerator<AuditLogEntry, void> {
    const log = await this.ready();
    if (log === undefined) return;
    await log.flush();
    const { target, limit = Number.POSITIVE_INFINITY, ...rest } = query;
    const targets = new Set(target === undefined ? [] : [target, this.#hashes?.of(target) ?? target]);
    // One target is for the log to look for; of two it knows nothing.
    const asked = targets.size === 1 ? query : { ...rest, ...(targets.size === 0 ? { limit: query.limit } : {}) };
    let left = limit;
    for await (const record of log.query(asked)) {
      if (targets.size > 0 && !targets.has(record.target)) continue;
      if (left <= 0) return;
      left -= 1;
      yield toEntry(record);
    }
  }

  /** @throws {MnopsError} `MNOPS_CORE_AUDIT_UNAVAILABLE`: the caller must not hand out what it did. */
  async record(entry: RecordedOperation): Promise<void> {
    const { cached = false, operation } = entry;
    const isRead = operation === 'read' || operation === 'refresh';
    const succeeded = entry.code === undefined;
    if (isRead && succeeded && (this.#reads === 'none' || (cached && this.#reads === 'uncached'))) return;
    const log = await this.ready();
    if (log === undefined) return;
    const details: Record<string, JsonValue> = { provider: this.#provider, cached };
    if (entry.version !== undefined) details['version'] = entry.version;
    try {
      await log.append(
        {
          actor: entry.actor,
          operation,
          target: this.#hashes?.of(entry.path) ?? entry.path,
          outcome: succeeded ? 'ok' : entry.code === 'MNOPS_CORE_ACCESS_DENIED' ? 'denied' : 'failed',
          ...(entry.code === undefined ? {} : { code: entry.code }),
          details,
        },
        { wait: !(cached && succeeded) },
      );
    } catch (error) {
      this.#failed = true;
      throw unavailable('cannot be written', error);
    }
  }

  /** Records that a cached value is read, and hands it out once the record is queued. */
  recordCached(actor: string, path: string, { value, resolved }: CacheEntry): Promise<SecretValue | undefined> {
    const log = this.#log;
    if (log === undefined || this.#reads !== 'all') return resolved;
    // The keys stand in the order in which the log writes them.
    const details = { cached: true, provider: this.#provider, version: value?.version ?? '' };
    const target = this.#hashes === undefined ? path : this.#hashes.of(path);
    return this.#handOut(log.append({ actor, operation: 'read', target, outcome: 'ok', details }, queued), value);
  }

  async #handOut<T>(recorded: Promise<void>, value: T): Promise<T> {
    try {
      await recorded;
      return value;
    } catch (error) {
      this.#failed = true;
      throw unavailable('cannot be written', error);
    }
  }

  async close(): Promise<void> {
    const log = this.#log ?? (await this.#opening?.catch(() => undefined));
    await log?.close();
  }
}

/** A record of core's log in this package's terms. */
function toEntry({ details = {}, ...record }: AuditRecord): AuditLogEntry {
  const { writer, sequence, at, actor, operation, target, outcome, code, previousHash, hash } = record;
  return {
    sequence,
    writer,
    at,
    actor,
    operation,
    path: target,
    ...(typeof details['version'] === 'string' ? { version: details['version'] } : {}),
    provider: typeof details['provider'] === 'string' ? details['provider'] : '',
    outcome,
    ...(code === undefined ? {} : { code }),
    cached: details['cached'] === true,
    previousHash,
    hash,
  };
}

function unavailable(what: string, cause: unknown): Error {
  if (passedOn.includes(codeOf(cause))) return cause as Error;
  return coreError('MNOPS_CORE_AUDIT_UNAVAILABLE', `The audit log ${what}, so the operation was refused.`, {
    remedy: 'Make `folder` writable, give `audit.sink`, or switch auditing off knowingly with `audit: false`.',
    cause,
  });
}
