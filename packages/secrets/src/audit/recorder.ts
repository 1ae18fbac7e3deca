import { codeOf, coreError } from '@mnops/core';
import { type AuditLog, type AuditRecord, openAuditLog } from '@mnops/core/audit';
import type { Clock, JsonValue, SecretValue } from '@mnops/core/spi';
import type { SecretAction } from '../access/policy.js';
import type { CacheEntry } from '../read/cache.js';
import type { SecretAuditConfig } from '../secret-config.js';

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

/** Records each operation once, durably before its result is handed out, except reads from the cache, which are queued. */
export class AuditRecorder {
  readonly #config: SecretAuditConfig | undefined;
  readonly #reads: 'all' | 'uncached' | 'none';
  readonly #provider: string;
  readonly #service: string;
  readonly #clock: Clock;
  #opening: Promise<AuditLog> | undefined;
  #log: AuditLog | undefined;
  #failed = false;

  constructor(options: {
    readonly config: SecretAuditConfig | undefined;
    readonly reads: 'all' | 'uncached' | 'none';
    readonly provider: string;
    readonly service: string;
    readonly clock: Clock;
  }) {
    this.#config = options.config;
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
      this.#opening ??= openAuditLog({ ...config, service: this.#service, clock: this.#clock }).catch(
        (error: unknown) => {
          this.#opening = undefined;
          throw unavailable('cannot be opened', error);
        },
      );
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
          target: entry.path,
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
    return this.#handOut(log.append({ actor, operation: 'read', target: path, outcome: 'ok', details }, queued), value);
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
export function toEntry({ details = {}, ...record }: AuditRecord): AuditLogEntry {
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
  if (codeOf(cause) === 'MNOPS_CORE_CLOSED' || codeOf(cause) === 'MNOPS_CORE_CONFIG_INVALID') return cause as Error;
  return coreError('MNOPS_CORE_AUDIT_UNAVAILABLE', `The audit log ${what}, so the operation was refused.`, {
    remedy: 'Make `folder` writable, give `audit.sink`, or switch auditing off knowingly with `audit: false`.',
    cause,
  });
}
