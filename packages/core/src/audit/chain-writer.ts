import type { AuditEntry } from '../spi/audit.js';
import type { Clock, JsonValue, Timer } from '../spi/base.js';
import type { ChainFile } from './chain-file.js';
import { type Batch, ChainQueue } from './chain-queue.js';
import type { AuditCheckpoint, CheckpointSigner } from './checkpoint.js';
import {
  auditFormat,
  bytesOf,
  type ChainHead,
  lineOf,
  noHash,
  ownMiddle,
  type PlacedEntry,
  parseLine,
  placeEntry,
  recordOf,
} from './entry.js';
import { EntryRing } from './entry-ring.js';
import type { AuditOptions } from './options.js';

const mostQueued = 10_000;
/** Entries in one write: a few milliseconds of hashing. */
const batchEntries = 2_000;
/** Entries that wait in memory only: few, so that their texts are gone before the garbage collector moves them. */
const volatileBatchEntries = 128;
const checkpointEvery = 10_000;
const defaultFlushMs = 50;
const defaultMemoryRecords = 1_000;
/** Until records that nobody waits for are tried again after a failure. */
const retryMs = 1_000;

/** What a chain is written with. */
export interface ChainWriterParts {
  readonly options: AuditOptions;
  readonly service: string;
  readonly clock: Clock;
  readonly signer: CheckpointSigner | undefined;
  readonly file: ChainFile | undefined;
  readonly writer: string;
}

/** Gives events their places, and writes what waits together. */
export class AuditChainWriter {
  readonly writer: string;
  readonly #parts: ChainWriterParts;
  readonly #memory: EntryRing;
  /** Nothing that is kept in memory only can fail, so nobody waits for it. */
  readonly #volatile: boolean;
  readonly #queue: ChainQueue;
  readonly #batchEntries: number;
  #head: ChainHead;
  #running: Promise<void> | undefined;
  /** Somebody waits: what is queued is written now. */
  #urgent = false;
  #timer: Timer | undefined;
  #failure: unknown;
  #sinceCheckpoint = 0;

  constructor(parts: ChainWriterParts) {
    this.#parts = parts;
    this.writer = parts.writer;
    this.#volatile = parts.file === undefined && parts.options.sink === undefined;
    this.#batchEntries = this.#volatile ? volatileBatchEntries : batchEntries;
    this.#queue = new ChainQueue(this.#batchEntries);
    this.#memory = new EntryRing(parts.options.maxMemoryRecords ?? defaultMemoryRecords);
    this.#head = parts.file?.head ?? { sequence: -1, hash: noHash };
  }

  /** Writes the entry that says who goes on with the chain, and on a signed chain a checkpoint. */
  async begin(): Promise<void> {
    const { clock, file, service, signer } = this.#parts;
    const others = (file?.others ?? []).map(({ writer, sequence, hash }): JsonValue => ({ writer, sequence, hash }));
    const fields = { format: auditFormat, service, others, tornBytes: file?.tornBytes ?? 0 };
    await this.#placed('opened', ownMiddle(fields, clock.now()));
    if (signer !== undefined) await this.checkpoint();
  }

  /** `undefined` when the event is queued and need not be waited for. */
  add(middle: string, wait: boolean): Promise<void> | undefined {
    if (!this.#volatile && (wait || this.#failure !== undefined || this.#queue.length >= mostQueued)) {
      return this.#placed('event', middle);
    }
    this.#queue.push('event', middle);
    if (this.#queue.length >= this.#batchEntries) this.#run();
    else if (!this.#volatile) this.#runLater(this.#parts.options.flushMs ?? defaultFlushMs);
    return undefined;
  }

  async checkpoint(): Promise<AuditCheckpoint> {
    const { clock, options, signer } = this.#parts;
    const atMs = clock.now();
    let signature: string | undefined;
    let covered: ChainHead = this.#head;
    await this.#placed('checkpoint', (head) => {
      covered = head;
      signature = signer?.sign(this.writer, head);
      return ownMiddle(
        signer === undefined ? {} : { signature: signature as string, publicKey: signer.publicKey },
        atMs,
      );
    });
    const signed = signer === undefined ? {} : { signature, publicKey: signer.publicKey };
    const { sequence, hash } = covered;
    const checkpoint: AuditCheckpoint = { writer: this.writer, sequence, hash, at: new Date(atMs), ...signed };
    await options.anchor?.(checkpoint);
    return checkpoint;
  }

  /** Resolves when everything that waits is written. */
  async flush(): Promise<void> {
    if (this.#queue.length > 0) this.#runNow();
    while (this.#running !== undefined) await this.#running;
    // Records that nobody waits for stay queued after a failure.
    if (this.#queue.length > 0 && this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    try {
      await this.flush();
      if (this.#sinceCheckpoint > 0) await this.checkpoint();
    } finally {
      this.#timer?.cancel();
      await this.#parts.file?.close();
    }
  }

  /** Lines of the last records, where there is no folder. */
  memory(): readonly string[] {
    return this.#memory.entries().map(lineOf);
  }

  #placed(...[kind, middle]: Parameters<ChainQueue['pushWaited']>): Promise<void> {
    const written = this.#queue.pushWaited(kind, middle);
    this.#runNow();
    return written;
  }

  #runLater(ms: number): void {
    this.#timer ??= this.#parts.clock.setTimer(ms, () => {
      this.#timer = undefined;
      this.#runNow();
    });
  }

  #runNow(): void {
    this.#urgent = true;
    this.#run();
  }

  #run(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#volatile) this.#keepAll();
    else this.#running ??= this.#writeAll();
  }

  #keepAll(): void {
    for (let batch = this.#queue.take(); batch !== undefined; batch = this.#queue.take()) {
      const placed = this.#place(batch);
      this.#remember(placed);
      this.#written(batch, placed);
    }
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that appends of the same turn go together.
    await undefined;
    while (this.#urgent || this.#queue.length >= this.#batchEntries) {
      const batch = this.#queue.take();
      this.#urgent = this.#urgent && this.#queue.length > 0;
      if (batch === undefined || !(await this.#writeBatch(batch))) break;
    }
    // In the turn of the last look at the queue: what is added later starts a new run.
    this.#running = undefined;
    if (this.#queue.length > 0) {
      this.#runLater(this.#failure === undefined ? (this.#parts.options.flushMs ?? defaultFlushMs) : retryMs);
    }
  }

  async #writeBatch(batch: Batch): Promise<boolean> {
    const placed = this.#place(batch);
    try {
      await this.#store(placed.entries);
    } catch (error) {
      this.#failure = error;
      this.#urgent = false;
      this.#queue.refuse(batch, error);
      return false;
    }
    this.#failure = undefined;
    this.#written(batch, placed);
    return true;
  }

  /** The entries of a batch as they follow what is written. */
  #place(batch: Batch): Placed {
    const entries: PlacedEntry[] = [];
    let head = this.#head;
    let events = 0;
    for (const { kind, middle } of batch.entries) {
      const entry = placeEntry(kind, typeof middle === 'string' ? middle : middle(head), this.writer, head);
      head = entry.head;
      entries.push(entry);
      if (kind === 'event') events += 1;
    }
    return { entries, head, events };
  }

  #written(batch: Batch, { head, events }: Placed): void {
    this.#head = head;
    this.#sinceCheckpoint += events;
    batch.resolve?.();
    if (this.#sinceCheckpoint >= checkpointEvery) this.#checkpointSoon();
  }

  async #store(entries: readonly PlacedEntry[]): Promise<void> {
    const { file, options } = this.#parts;
    if (file !== undefined) await file.append(bytesOf(entries));
    try {
      await options.sink?.append(entries.map((entry) => toSinkEntry(lineOf(entry))));
    } catch (error) {
      file?.undo();
      throw error;
    }
    if (file === undefined) this.#remember({ entries });
  }

  #remember({ entries }: Pick<Placed, 'entries'>): void {
    for (const entry of entries) this.#memory.push(entry);
  }

  #checkpointSoon(): void {
    this.#sinceCheckpoint = 0;
    this.checkpoint().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : 'unknown reason';
      process.emitWarning(`An audit checkpoint failed: ${reason}`, { code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    });
  }
}

/** What a batch in its place changes. */
interface Placed {
  readonly entries: readonly PlacedEntry[];
  /** End of the chain with it. */
  readonly head: ChainHead;
  readonly events: number;
}

/** Read back from the line: what the caller passed may have changed since. */
function toSinkEntry(line: string): AuditEntry {
  const entry = parseLine(line);
  return { line, record: entry === undefined ? undefined : recordOf(entry) };
}
