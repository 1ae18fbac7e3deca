import type { AuditEntry } from '../spi/audit.js';
import type { Clock, JsonValue, Timer } from '../spi/base.js';
import type { ChainFile } from './chain-file.js';
import type { AuditCheckpoint, CheckpointSigner } from './checkpoint.js';
import {
  auditFormat,
  type ChainHead,
  noHash,
  type PlacedEntry,
  type PreparedEvent,
  parseLine,
  placeEvent,
  placeOwn,
  recordOf,
} from './entry.js';
import type { AuditOptions } from './options.js';

const mostQueued = 10_000;
/** Entries in one write: a few milliseconds of hashing. */
const batchEntries = 2_000;
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

/** Something that waits for its place in the chain. */
interface Waiting {
  readonly place: (head: ChainHead) => PlacedEntry;
  /** Absent for a record that nobody waits for: it stays queued when writing fails. */
  readonly done?: { readonly resolve: () => void; readonly reject: (error: unknown) => void };
}

/** Gives events their places, and writes what waits together. */
export class AuditChainWriter {
  readonly writer: string;
  readonly #parts: ChainWriterParts;
  readonly #memory: string[] = [];
  #waiting: Waiting[] = [];
  #head: ChainHead;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #failure: unknown;
  #sinceCheckpoint = 0;

  constructor(parts: ChainWriterParts) {
    this.#parts = parts;
    this.writer = parts.writer;
    this.#head = parts.file?.head ?? { sequence: -1, hash: noHash };
  }

  /** Writes the entry that says who goes on with the chain, and on a signed chain a checkpoint. */
  async begin(): Promise<void> {
    const { clock, file, service, signer } = this.#parts;
    const others = (file?.others ?? []).map(({ writer, sequence, hash }): JsonValue => ({ writer, sequence, hash }));
    const fields = { format: auditFormat, service, others, tornBytes: file?.tornBytes ?? 0 };
    await this.#placed((head) => placeOwn('opened', fields, clock.now(), this.writer, head));
    if (signer !== undefined) await this.checkpoint();
  }

  async add(prepared: PreparedEvent, wait: boolean): Promise<void> {
    const place = (head: ChainHead): PlacedEntry => placeEvent(prepared, this.writer, head);
    if (wait || this.#failure !== undefined || this.#waiting.length >= mostQueued) {
      await this.#placed(place);
      return;
    }
    this.#waiting.push({ place });
    if (this.#waiting.length >= batchEntries) this.#run();
    else this.#runLater(this.#parts.options.flushMs ?? defaultFlushMs);
  }

  async checkpoint(): Promise<AuditCheckpoint> {
    const { clock, options, signer } = this.#parts;
    const atMs = clock.now();
    let signature: string | undefined;
    let covered: ChainHead = this.#head;
    await this.#placed((head) => {
      covered = head;
      signature = signer?.sign(this.writer, head);
      const fields = signer === undefined ? {} : { signature: signature as string, publicKey: signer.publicKey };
      return placeOwn('checkpoint', fields, atMs, this.writer, head);
    });
    const signed = signer === undefined ? {} : { signature, publicKey: signer.publicKey };
    const { sequence, hash } = covered;
    const checkpoint: AuditCheckpoint = { writer: this.writer, sequence, hash, at: new Date(atMs), ...signed };
    await options.anchor?.(checkpoint);
    return checkpoint;
  }

  /** Resolves when everything that waits is written. */
  async flush(): Promise<void> {
    if (this.#waiting.length > 0) this.#run();
    while (this.#running !== undefined) await this.#running;
    // Records that nobody waits for stay queued after a failure.
    if (this.#waiting.length > 0 && this.#failure !== undefined) throw this.#failure;
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
    return [...this.#memory];
  }

  #placed(place: Waiting['place']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ place, done: { resolve, reject } });
      this.#run();
    });
  }

  #runLater(ms: number): void {
    this.#timer ??= this.#parts.clock.setTimer(ms, () => {
      this.#timer = undefined;
      this.#run();
    });
  }

  #run(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that appends of the same turn go together.
    await undefined;
    while (this.#waiting.length > 0) {
      if (!(await this.#writeBatch(this.#waiting.splice(0, batchEntries)))) break;
      if (this.#sinceCheckpoint >= checkpointEvery) this.#checkpointSoon();
    }
    // In the turn of the last look at the queue: what is added later starts a new run.
    this.#running = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<boolean> {
    const lines: string[] = [];
    let head = this.#head;
    let events = 0;
    for (const { place } of batch) {
      const entry = place(head);
      head = entry.head;
      lines.push(entry.line);
      if (entry.kind === 'event') events += 1;
    }
    try {
      await this.#store(lines);
    } catch (error) {
      this.#failure = error;
      const refused = [...batch, ...this.#waiting];
      this.#waiting = refused.filter(({ done }) => done === undefined);
      if (this.#waiting.length > 0) this.#runLater(retryMs);
      for (const { done } of refused) done?.reject(error);
      return false;
    }
    this.#failure = undefined;
    this.#head = head;
    this.#sinceCheckpoint += events;
    for (const { done } of batch) done?.resolve();
    return true;
  }

  async #store(lines: readonly string[]): Promise<void> {
    const { file, options } = this.#parts;
    if (file !== undefined) await file.append(`${lines.join('\n')}\n`);
    try {
      await options.sink?.append(lines.map(toSinkEntry));
    } catch (error) {
      file?.undo();
      throw error;
    }
    if (file !== undefined) return;
    for (const line of lines) this.#memory.push(line);
    const most = options.maxMemoryRecords ?? defaultMemoryRecords;
    if (this.#memory.length > most) this.#memory.splice(0, this.#memory.length - most);
  }

  #checkpointSoon(): void {
    this.#sinceCheckpoint = 0;
    this.checkpoint().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : 'unknown reason';
      process.emitWarning(`An audit checkpoint failed: ${reason}`, { code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    });
  }
}

/** Read back from the line: what the caller passed may have changed since. */
function toSinkEntry(line: string): AuditEntry {
  const entry = parseLine(line);
  return { line, record: entry === undefined ? undefined : recordOf(entry) };
}
