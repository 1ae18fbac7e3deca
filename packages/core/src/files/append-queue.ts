import { fdatasyncSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { storageError } from '../errors/core-error.js';
import type { FileCalls } from './file-calls.js';
import { encodeRecord, recordHeaderBytes } from './record-format.js';
import type { AppendResult } from './record-log.js';

/** Bytes after which waiting appends go into a further write. */
const batchBytes = 8 * 1024 * 1024;

interface Waiting {
  readonly payloads: readonly Uint8Array[];
  readonly bytes: number;
  readonly sync: boolean;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly entries: readonly Waiting[];
  readonly results: readonly AppendResult[];
  readonly bytes: Buffer;
  readonly offset: number;
  readonly sequence: number;
  /** `appendSync` wrote these bytes itself, and went on after them. */
  settled: boolean;
}

/** The open file that a queue writes to. */
export interface QueueTarget {
  readonly handle: FileHandle;
  readonly file: string;
  readonly id: Buffer;
  readonly sizeBytes: number;
  readonly nextSequence: number;
}

/** Writes records to the end of one file: what waits together is written and synced together. */
export class AppendQueue {
  readonly #calls: FileCalls;
  readonly #target: QueueTarget;
  #waiting: Waiting[] = [];
  #flying: Batch | undefined;
  #running: Promise<void> | undefined;
  #torn = false;
  sizeBytes: number;
  nextSequence: number;

  constructor(target: QueueTarget, calls: FileCalls) {
    this.#calls = calls;
    this.#target = target;
    this.sizeBytes = target.sizeBytes;
    this.nextSequence = target.nextSequence;
  }

  add(payloads: readonly Uint8Array[], sync: boolean): Promise<AppendResult> {
    const bytes = payloads.reduce((sum, payload) => sum + recordHeaderBytes + payload.length, 0);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payloads, bytes, sync, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits; never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Writes everything that waits, and then one payload, before it returns. */
  addSync(payload: Uint8Array, sync: boolean): void {
    const flying = this.#flying;
    const descriptor = this.#target.handle.fd;
    try {
      this.#cutTorn();
      // The write in flight may never end: the same bytes in the same place do no harm.
      if (flying !== undefined && !flying.settled) {
        this.#writeSync(flying.bytes, flying.offset);
        flying.settled = true;
        this.sizeBytes = flying.offset + flying.bytes.length;
        this.nextSequence = flying.sequence + countRecords(flying.entries);
      }
      const waiting = this.#waiting;
      if (waiting.length > 0) {
        const batch = this.#encode(waiting);
        this.#writeSync(batch.bytes, batch.offset);
        this.#waiting = [];
        this.#advance(batch);
        resolveAll(batch);
      }
      const own = Buffer.allocUnsafe(recordHeaderBytes + payload.length);
      encodeRecord(own, 0, this.#target.id, this.nextSequence, payload);
      this.#writeSync(own, this.sizeBytes);
      this.sizeBytes += own.length;
      this.nextSequence += 1;
      if (sync) fdatasyncSync(descriptor);
    } catch (error) {
      this.#torn = true;
      throw storageError('append to', this.#target.file, error);
    }
  }

  async #run(): Promise<void> {
    // One turn later, so that appends of the same turn go together.
    await undefined;
    while (this.#waiting.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#waiting.length && (count === 0 || bytes < batchBytes)) {
        bytes += (this.#waiting[count] as Waiting).bytes;
        count += 1;
      }
      const entries = this.#waiting.splice(0, count);
      await this.#write(entries);
    }
    this.#running = undefined;
  }

  async #write(entries: readonly Waiting[]): Promise<void> {
    const { handle, file } = this.#target;
    const batch = this.#encode(entries);
    try {
      this.#cutTorn();
      this.#flying = batch;
      await this.#writeBatch(batch);
      if (entries.some((entry) => entry.sync)) await this.#calls.sync(handle);
      this.#flying = undefined;
      if (!batch.settled) this.#advance(batch);
      resolveAll(batch);
    } catch (error) {
      this.#flying = undefined;
      this.#undo(batch);
      const failure = storageError('append to', file, error);
      for (const entry of entries) entry.reject(failure);
    }
  }

  async #writeBatch(batch: Batch): Promise<void> {
    let written = 0;
    try {
      while (written < batch.bytes.length && !batch.settled) {
        written += await this.#calls.write(this.#target.handle, batch.bytes, written, batch.offset + written);
      }
    } catch (error) {
      // `appendSync` wrote the same bytes meanwhile, so the failure of this attempt costs nothing.
      if (!batch.settled) throw error;
    }
  }

  /** Takes back what a failed write left; when that fails too, the next write tries it first. */
  #undo(batch: Batch): void {
    if (batch.settled) return;
    this.#torn = true;
    try {
      this.#cutTorn();
    } catch {
      // Stays torn.
    }
  }

  /** Synchronous, so that nothing can be written between the decision and the cut. */
  #cutTorn(): void {
    if (this.#torn) this.#calls.truncateSync(this.#target.handle.fd, this.sizeBytes);
    this.#torn = false;
  }

  #encode(entries: readonly Waiting[]): Batch {
    const total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const bytes = Buffer.allocUnsafe(total);
    const results: AppendResult[] = [];
    let at = 0;
    let sequence = this.nextSequence;
    for (const entry of entries) {
      results.push({ firstSequence: sequence, offset: this.sizeBytes + at });
      for (const payload of entry.payloads) {
        at = encodeRecord(bytes, at, this.#target.id, sequence, payload);
        sequence += 1;
      }
    }
    return { entries, results, bytes, offset: this.sizeBytes, sequence: this.nextSequence, settled: false };
  }

  #advance(batch: Batch): void {
    this.sizeBytes = batch.offset + batch.bytes.length;
    this.nextSequence = batch.sequence + countRecords(batch.entries);
  }

  #writeSync(bytes: Buffer, position: number): void {
    let written = 0;
    while (written < bytes.length) {
      written += this.#calls.writeSync(this.#target.handle.fd, bytes, written, position + written);
    }
  }
}

function countRecords(entries: readonly Waiting[]): number {
  return entries.reduce((sum, entry) => sum + entry.payloads.length, 0);
}

function resolveAll(batch: Batch): void {
  for (const [index, entry] of batch.entries.entries()) entry.resolve(batch.results[index] as AppendResult);
}
