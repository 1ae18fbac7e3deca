import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock.js';
import { parseOptions } from '../config/parse-options.js';
import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import { ensureFolder } from '../files/atomic.js';
import { type FileCalls, systemFiles } from '../files/file-calls.js';
import { traced } from '../operations/traced.js';
import type { AuditEvent, AuditRecord } from '../spi/audit.js';
import type { Clock } from '../spi/base.js';
import { type ChainFile, openChain } from './chain-file.js';
import { AuditChainWriter } from './chain-writer.js';
import type { AuditCheckpoint } from './checkpoint.js';
import { checkpointSigner } from './checkpoint.js';
import { type EventTexts, eventTexts } from './entry.js';
import { type AuditOptions, auditSchema } from './options.js';
import { type AuditQuery, assertQuery, queryFolder, queryLines } from './query.js';
import { type AuditVerification, type AuditVerifyOptions, verifyAuditFolder, verifyAuditLines } from './verify.js';

/** What an audit log is opened with. */
export interface OpenAuditLogOptions extends AuditOptions {
  /** Name of the service in each record. Default empty. */
  readonly service?: string | undefined;
  readonly clock?: Clock | undefined;
}

/** How an append waits. */
export interface AuditAppendOptions {
  /** True: resolves when the record is durable. False: when it is queued, to be written within `flushMs`. Default true. */
  readonly wait?: boolean | undefined;
}

/** A log of who did what, in which nothing can be changed without being found. */
export interface AuditLog {
  /** Whether records outlive the process: there is a folder or a sink. */
  readonly durable: boolean;
  /** Chain that this log writes. */
  readonly writer: string;
  /**
   * Records an event. A host calls it before it gives the result away, so that what cannot be recorded does not happen.
   *
   * With `wait: false`, up to 10,000 records are queued; a call over that waits for room, and while writing fails every
   * call waits for its own record.
   *
   * @throws {MnopsError} `MNOPS_CORE_AUDIT_UNAVAILABLE` when the record could not be made durable,
   * `MNOPS_CORE_CONFIG_INVALID` for an event that is malformed, `MNOPS_CORE_CLOSED`.
   */
  append(event: AuditEvent, options?: AuditAppendOptions): Promise<void>;
  /** Records of all writers, oldest first, those still queued included. In memory: the last `maxMemoryRecords`. */
  query(query?: AuditQuery): AsyncIterable<AuditRecord>;
  /** Checks all chains; see `verifyAuditFolder`. */
  verify(options?: AuditVerifyOptions): Promise<AuditVerification>;
  /** Writes, signs (with `signingKey`) and anchors the state of this log's chain. Also done when it opens and closes, and every 10,000 records. */
  checkpoint(): Promise<AuditCheckpoint>;
  /** Resolves when what was queued is durable. */
  flush(): Promise<void>;
  /** Writes what is queued and a last checkpoint, and ends; a second call does nothing. */
  close(): Promise<void>;
}

/**
 * Opens an audit log. Each process writes a chain of its own in the folder; queries and verification join them. The
 * layout is in `docs/formats/audit-log.md`.
 *
 * @throws {MnopsError} `MNOPS_CORE_AUDIT_UNAVAILABLE` when folder or sink cannot be written, `MNOPS_CORE_CONFIG_INVALID`,
 * `MNOPS_CORE_KEY_INVALID`.
 */
export function openAuditLog(options: OpenAuditLogOptions): Promise<AuditLog> {
  return openAuditLogWith(options, systemFiles);
}

/** `openAuditLog` with the writing calls given. */
export async function openAuditLogWith(input: OpenAuditLogOptions, calls: FileCalls): Promise<AuditLog> {
  const { service = '', clock = systemClock(), ...rest } = input;
  const options = parseOptions('audit', auditSchema, rest) as AuditOptions;
  const signer = options.signingKey === undefined ? undefined : checkpointSigner(options.signingKey);
  let file: ChainFile | undefined;
  try {
    if (options.folder !== undefined) {
      await ensureFolder(options.folder);
      file = await openChain(options.folder, calls);
    }
    const writer = file?.writer ?? `w-${randomBytes(8).toString('hex')}`;
    const chain = new AuditChainWriter({ options, service, clock, signer, file, writer });
    await chain.begin();
    return new HostedAuditLog(options, eventTexts(service), clock, chain);
  } catch (error) {
    await file?.close().catch(() => undefined);
    throw unavailable('opened', error);
  }
}

/** The error that makes an operation fail closed, whatever the reason below it. */
function unavailable(what: string, cause: unknown): Error {
  if (MnopsError.is(cause, 'MNOPS_CORE_AUDIT_UNAVAILABLE')) return cause;
  return coreError('MNOPS_CORE_AUDIT_UNAVAILABLE', `The audit log could not be ${what}.`, {
    cause,
    remedy: 'Make the audit folder writable, give another `folder` or a `sink`, or pass `audit: false` knowingly.',
  });
}

class HostedAuditLog implements AuditLog {
  readonly durable: boolean;
  readonly writer: string;
  readonly #options: AuditOptions;
  readonly #texts: EventTexts;
  readonly #clock: Clock;
  readonly #chain: AuditChainWriter;
  #closing: Promise<void> | undefined;

  constructor(options: AuditOptions, texts: EventTexts, clock: Clock, chain: AuditChainWriter) {
    this.#options = options;
    this.#texts = texts;
    this.#clock = clock;
    this.#chain = chain;
    this.writer = chain.writer;
    this.durable = options.folder !== undefined || options.sink !== undefined;
  }

  append(event: AuditEvent, options: AuditAppendOptions = {}): Promise<void> {
    const { actor, operation: action, outcome } = event;
    const { wait = true } = options;
    const context = { actor, action, outcome, durable: this.durable, waited: wait && this.durable };
    return traced('mnops:core:audit-append', context, () => this.#append(event, wait));
  }

  async #append(event: AuditEvent, wait: boolean): Promise<void> {
    this.#assertOpen();
    const written = this.#chain.add(this.#texts.middleOf(event, this.#clock.now()), wait);
    if (written === undefined) return;
    try {
      await written;
    } catch (error) {
      throw unavailable('written', error);
    }
  }

  async *query(query: AuditQuery = {}): AsyncGenerator<AuditRecord, void> {
    assertQuery(query);
    const { folder, sink } = this.#options;
    // While writing fails, what was written before can still be read.
    if (this.#closing === undefined) await this.flush().catch(() => undefined);
    if (folder !== undefined) yield* queryFolder(folder, query);
    else yield* queryLines(sink?.lines?.() ?? this.#chain.memory(), query);
  }

  verify(options: AuditVerifyOptions = {}): Promise<AuditVerification> {
    return traced('mnops:core:audit-verify', {}, async (context) => {
      if (this.#closing === undefined) await this.flush().catch(() => undefined);
      const { folder, sink } = this.#options;
      const kept = sink?.lines?.();
      const result = await (folder !== undefined
        ? verifyAuditFolder(folder, options)
        : verifyAuditLines(kept ?? this.#chain.memory(), kept === undefined ? { ...options, partial: true } : options));
      Object.assign(context, { records: result.records, findings: result.findings.length });
      return result;
    });
  }

  async checkpoint(): Promise<AuditCheckpoint> {
    this.#assertOpen();
    try {
      return await this.#chain.checkpoint();
    } catch (error) {
      throw unavailable('written', error);
    }
  }

  async flush(): Promise<void> {
    try {
      await this.#chain.flush();
    } catch (error) {
      throw unavailable('written', error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#chain.close().catch((error: unknown) => {
      throw unavailable('written', error);
    });
    return this.#closing;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw coreError('MNOPS_CORE_CLOSED', 'The audit log is closed.');
  }
}
