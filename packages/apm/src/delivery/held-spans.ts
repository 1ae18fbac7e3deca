import { MnopsError } from '@mnops/core';
import type { Clock, Span } from '@mnops/core/spi';
import type { DropReason } from './delivery-report.js';
import { type HeldBatch, looseBatch, newBatch, standIns } from './held-batch.js';
import type { QueuedSpan } from './span-lane.js';
import { batchOf, SpanQueue } from './span-queue.js';
import type { Spool } from './spool.js';
import type { SpanCodec } from './spool-record.js';
import type { SpoolRecord } from './spool-segment.js';

/** Bounds of what is held in memory. */
export interface HeldLimits {
  readonly maxSpans: number;
  readonly maxBytes: number;
  readonly batchSpans: number;
}

/** A disk for held spans. */
export interface HeldSpansDisk {
  readonly spool: Spool;
  readonly codec: SpanCodec;
}

/** Small batches that are merged at once. */
const mostParts = 32;

function isSmall(batch: HeldBatch, batchSpans: number): boolean {
  return batch.count < batchSpans / 8;
}

/** Estimated bytes of spans that go into one record. */
const recordBytes = 4_194_304;

/**
 * The spans of one exporter that are not delivered yet, in their order: the loose ones that came last, before them the
 * batches that have a place on disk, before them those on their way.
 */
export class HeldSpans {
  readonly #limits: HeldLimits;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #onDropped: (reason: DropReason, count: number) => void;
  readonly #loose: SpanQueue = new SpanQueue();
  readonly #flying: Set<HeldBatch> = new Set();
  /** Batches that the back end refused before they were on disk. */
  readonly #returned: Set<HeldBatch> = new Set();
  readonly #byRecord: Map<SpoolRecord, HeldBatch> = new Map();
  #batches: HeldBatch[] = [];
  #batchSpans = 0;
  /** Of the batches: what of them is in memory. */
  #memorySpans = 0;
  #memoryBytes = 0;
  #flyingSpans = 0;
  #disk: HeldSpansDisk | undefined;
  #persisting: Promise<void> | undefined;
  #spilling = false;
  /** Monotonic time since which no loose span came that was not taken. */
  #looseSinceMs = 0;
  /** Batches that are being written. */
  #writes = 0;

  constructor(
    limits: HeldLimits,
    clock: Pick<Clock, 'monotonic'>,
    onDropped: (reason: DropReason, count: number) => void,
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#onDropped = onDropped;
  }

  /** Spans that wait. */
  get waiting(): number {
    return this.#loose.size + this.#batchSpans;
  }

  /** Spans that wait or are on their way. */
  get held(): number {
    return this.waiting + this.#flyingSpans;
  }

  /** Spans that have a place on disk. */
  get onDisk(): number {
    let count = 0;
    for (const batch of this.#byRecord.values()) count += batch.count;
    return count;
  }

  /** Monotonic time before which nothing came that is in memory only; `undefined` when all of it is on disk. */
  get unwrittenSinceMs(): number | undefined {
    let since = this.#loose.size > 0 ? this.#looseSinceMs : Number.POSITIVE_INFINITY;
    for (const set of [this.#flying, this.#returned]) {
      for (const { record, memoryOnly, sinceMs } of set) {
        if (record === undefined && !memoryOnly) since = Math.min(since, sinceMs);
      }
    }
    return since === Number.POSITIVE_INFINITY ? undefined : since;
  }

  /** From now on spans are kept on disk too. */
  attach(disk: HeldSpansDisk): void {
    this.#disk = disk;
  }

  /** Takes spans of a process that ended. */
  adopt(records: readonly SpoolRecord[]): void {
    for (const record of records) {
      const batch = newBatch(undefined, record.count, 0);
      batch.record = record;
      this.#byRecord.set(record, batch);
      this.#batches.push(batch);
      this.#batchSpans += record.count;
    }
  }

  add(span: Span): void {
    if (this.#loose.size === 0) this.#looseSinceMs = this.#clock.monotonic();
    this.#loose.push(span);
    if (!this.#over(1)) return;
    const writable = this.#disk?.spool.writable === true;
    if (writable && !this.#spilling) {
      this.#spilling = true;
      // Not here: the end of a span is on the path of the user's request.
      setImmediate(() => {
        this.#spilling = false;
        this.persist().catch(() => undefined);
      });
    }
    // One turn of the event loop may bring more than there is time to write in.
    let dropped = 0;
    while (this.#over(writable ? 2 : 1) && this.#loose.dropOne()) dropped += 1;
    if (dropped > 0) this.#onDropped('queue-full', dropped);
  }

  /** Takes the oldest spans on their way: a batch, and as many further ones as fit into so many spans. */
  async take(size: number): Promise<readonly HeldBatch[]> {
    const taken: HeldBatch[] = [];
    let count = 0;
    for (;;) {
      const next = this.#batches[0];
      const alone = (batch: HeldBatch | undefined): boolean => (batch?.refusals ?? 0) > 0;
      if (next === undefined || (taken.length > 0 && (count + next.count > size || alone(next) || alone(taken[0]))))
        break;
      this.#batches.shift();
      this.#fly(next);
      taken.push(next);
      count += next.count;
    }
    if (taken.length === 0) {
      // No more than one record takes: what is on its way is written, too.
      const entries = this.#loose.take(size, recordBytes);
      if (entries.length === 0) return [];
      const batch = looseBatch(entries, this.#looseSinceMs);
      this.#flying.add(batch);
      this.#flyingSpans += batch.count;
      return [batch];
    }
    const whole: HeldBatch[] = [];
    for (const [index, batch] of taken.entries()) {
      try {
        if (await this.#load(batch)) whole.push(batch);
      } catch {
        // The spool was closed: what could not be read stays there.
        this.giveBack(taken.slice(index));
        break;
      }
    }
    return whole;
  }

  #fly(batch: HeldBatch): void {
    this.#batchSpans -= batch.count;
    if (batch.spans !== undefined) {
      this.#memorySpans -= batch.count;
      this.#memoryBytes -= batch.bytes;
    }
    this.#flying.add(batch);
    this.#flyingSpans += batch.count;
  }

  /** These spans are delivered or given up; the caller counts them. */
  settle(batches: readonly HeldBatch[]): void {
    const records: SpoolRecord[] = [];
    for (const batch of batches.flatMap((one) => [one, ...standIns(one)])) {
      batch.done = true;
      if (this.#flying.delete(batch)) this.#flyingSpans -= batch.count;
      if (batch.record !== undefined) {
        records.push(batch.record);
        this.#byRecord.delete(batch.record);
      }
    }
    if (records.length > 0) this.#disk?.spool.delivered(records).catch(() => undefined);
  }

  /** Spans of a settled batch that were not taken after all. */
  restore(spans: readonly Span[]): void {
    for (const span of spans) this.#loose.push(span);
  }

  /** These spans are tried again, after all others that wait on disk. */
  giveBack(batches: readonly HeldBatch[]): void {
    for (const batch of batches) {
      if (!this.#flying.delete(batch)) continue;
      this.#flyingSpans -= batch.count;
      this.#batches.push(batch);
      this.#batchSpans += batch.count;
      // A copy on disk will do until then; without one it is written with the next ones.
      if (batch.record !== undefined) batch.spans = undefined;
      else this.#returned.add(batch);
      if (batch.spans === undefined) continue;
      this.#memorySpans += batch.count;
      this.#memoryBytes += batch.bytes;
    }
  }

  /** Keeps spans aside that the back end refuses. */
  async quarantine(spans: readonly Span[]): Promise<string | undefined> {
    const disk = this.#disk;
    return await disk?.spool.quarantine(disk.codec.encode(batchOf(spans)), spans.length);
  }

  /** Writes to disk whatever is in memory only. Resolves when that is done or the disk does not take it. */
  async persist(): Promise<void> {
    this.#persisting ??= this.#persistAll().finally(() => {
      this.#persisting = undefined;
    });
    await this.#persisting;
  }

  async #persistAll(): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined) return;
    for (const batch of [...this.#flying, ...this.#returned]) {
      if (batch.record === undefined && !batch.memoryOnly) await this.#write(batch, disk);
      if (batch.record !== undefined || batch.memoryOnly || batch.done) this.#returned.delete(batch);
    }
    while (this.#loose.size > 0 && disk.spool.writable) {
      const entries = this.#loose.take(this.#limits.batchSpans, recordBytes);
      const batch = looseBatch(entries, this.#looseSinceMs);
      this.#push(batch);
      if (await this.#write(batch, disk)) {
        this.#release();
        continue;
      }
      if (batch.memoryOnly) continue;
      this.#pullBack(batch, entries);
      break;
    }
    await this.#merge(disk);
  }

  /**
   * Makes one batch of the small ones that came last: a span a second would be a record each, and a day of them more
   * than memory should have to know of.
   */
  async #merge(disk: HeldSpansDisk): Promise<void> {
    const { batchSpans } = this.#limits;
    const parts: HeldBatch[] = [];
    let spans = 0;
    for (let i = this.#batches.length - 1; i >= 0 && parts.length < mostParts; i -= 1) {
      const batch = this.#batches[i] as HeldBatch;
      if (!isSmall(batch, batchSpans) || batch.spans === undefined || spans + batch.count > batchSpans) break;
      if (batch.record === undefined || batch.refusals > 0) break;
      spans += batch.count;
      parts.unshift(batch);
    }
    if (parts.length < 2 || (parts.length < mostParts && spans < batchSpans / 2)) return;
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    const whole = newBatch(
      parts.flatMap((part) => part.spans ?? []),
      spans,
      bytes,
    );
    this.#batches.splice(-parts.length, parts.length, whole);
    whole.parts = parts;
    if (await this.#write(whole, disk)) return;
    const at = this.#batches.indexOf(whole);
    // It may be on its way by now, and keeps them.
    if (at !== -1) this.#batches.splice(at, 1, ...parts);
  }

  #push(batch: HeldBatch): void {
    this.#batches.push(batch);
    this.#batchSpans += batch.count;
    this.#memorySpans += batch.count;
    this.#memoryBytes += batch.bytes;
  }

  /** Makes a batch loose again, unless it is on its way. */
  #pullBack(batch: HeldBatch, entries: readonly QueuedSpan[]): void {
    const at = this.#batches.indexOf(batch);
    if (at === -1) return;
    this.#batches.splice(at, 1);
    this.#batchSpans -= batch.count;
    this.#memorySpans -= batch.count;
    this.#memoryBytes -= batch.bytes;
    this.#loose.putBack(entries);
  }

  async #write(batch: HeldBatch, { spool, codec }: HeldSpansDisk): Promise<boolean> {
    if (batch.spans === undefined || batch.done || !spool.writable) return false;
    try {
      const bytes = codec.encode(batchOf(batch.spans));
      batch.writing = true;
      this.#writes += 1;
      this.#written(batch, await spool.append(bytes, batch.count));
      return true;
    } catch (error) {
      // Another disk would not take it either.
      if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_FAILED')) batch.memoryOnly = true;
      return false;
    } finally {
      if (batch.writing) this.#writes -= 1;
      batch.writing = false;
    }
  }

  #written(batch: HeldBatch, record: SpoolRecord): void {
    batch.record = record;
    this.settle(standIns(batch));
    batch.parts = undefined;
    if (batch.done) this.#disk?.spool.delivered([record]).catch(() => undefined);
    else this.#byRecord.set(record, batch);
  }

  /**
   * Writes before it returns whatever is in memory only; for a process that ends. What cannot be written does not keep
   * the rest from it.
   *
   * @throws What the first that could not be written threw.
   */
  persistNow(): void {
    const disk = this.#disk;
    if (disk === undefined || !disk.spool.writable) return;
    const failures: unknown[] = [];
    const refused: [HeldBatch, readonly QueuedSpan[]][] = [];
    for (const batch of [...this.#flying, ...this.#returned]) {
      if (batch.done || batch.record !== undefined || batch.writing || batch.memoryOnly) continue;
      // Its parts are on disk, and cannot be taken from there any more.
      if (standIns(batch).length > 0) continue;
      this.#writeNow(batch, disk, failures);
    }
    while (this.#loose.size > 0) {
      const entries = this.#loose.take(this.#limits.maxSpans, recordBytes);
      const batch = looseBatch(entries, this.#looseSinceMs);
      this.#push(batch);
      if (!this.#writeNow(batch, disk, failures)) refused.unshift([batch, entries]);
    }
    for (const [batch, entries] of refused) this.#pullBack(batch, entries);
    if (this.#writes > 0) disk.spool.flushSync();
    if (failures.length > 0) throw failures[0];
  }

  #writeNow(batch: HeldBatch, { spool, codec }: HeldSpansDisk, failures: unknown[]): boolean {
    if (batch.spans === undefined) return false;
    try {
      this.#written(batch, spool.appendSync(codec.encode(batchOf(batch.spans)), batch.count));
      return true;
    } catch (error) {
      failures.push(error);
      return false;
    }
  }

  /** A record whose file was removed by others: what is in memory is written again with the next ones. */
  gone(record: SpoolRecord): void {
    const batch = this.#byRecord.get(record);
    // One that is being read is found gone there.
    if (batch === undefined || (batch.spans === undefined && this.#flying.has(batch))) return;
    if (batch.spans === undefined) {
      this.lost(record, 'spool-damaged');
      return;
    }
    this.#byRecord.delete(record);
    batch.record = undefined;
    if (!this.#flying.has(batch)) this.#returned.add(batch);
  }

  /** Spans on disk were given up. */
  lost(record: SpoolRecord, reason: DropReason): void {
    const batch = this.#byRecord.get(record);
    if (batch === undefined) return;
    this.#byRecord.delete(record);
    batch.record = undefined;
    batch.memoryOnly = true;
    // Those in memory, and those that are being read, are not lost with the file.
    if (batch.spans !== undefined || this.#flying.has(batch)) return;
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    this.#batchSpans -= batch.count;
    this.#onDropped(reason, batch.count);
  }

  /** Gives up what is in memory only. @returns How many spans that were; what is on disk stays held. */
  abandon(): number {
    let count = this.#loose.take(Number.POSITIVE_INFINITY).length;
    this.#batches = this.#batches.flatMap((batch) => (standIns(batch).length > 0 ? standIns(batch) : [batch]));
    for (const batch of [...this.#batches]) {
      if (batch.record !== undefined) continue;
      this.#batches.splice(this.#batches.indexOf(batch), 1);
      this.#batchSpans -= batch.count;
      this.#memorySpans -= batch.count;
      this.#memoryBytes -= batch.bytes;
      count += batch.count;
    }
    return count;
  }

  /** Brings a batch from disk. @returns False when it could not be read: it is given up then. */
  async #load(batch: HeldBatch): Promise<boolean> {
    const { record } = batch;
    if (batch.spans !== undefined) return true;
    const disk = this.#disk as HeldSpansDisk;
    const bytes = record === undefined ? undefined : await disk.spool.read(record);
    try {
      const spans = bytes === undefined ? [] : disk.codec.decode(bytes);
      if (spans.length > 0 && spans.length <= batch.count) {
        batch.spans = spans;
        // A span that was made odd by a foreign SDK may be refused by the decoder.
        const unreadable = batch.count - spans.length;
        batch.count = spans.length;
        this.#flyingSpans -= unreadable;
        if (unreadable > 0) this.#onDropped('spool-damaged', unreadable);
        return true;
      }
    } catch {
      // Falls through: whole bytes that are no spans.
    }
    if (bytes !== undefined) await disk.spool.quarantine(bytes, batch.count);
    this.settle([batch]);
    this.#onDropped('spool-damaged', batch.count);
    return false;
  }

  #over(times: number): boolean {
    const { maxSpans, maxBytes } = this.#limits;
    return (
      this.#loose.size + this.#memorySpans > maxSpans * times ||
      this.#loose.bytes + this.#memoryBytes > maxBytes * times
    );
  }

  /** Keeps only on disk what memory has no room for: the newest first, they are sent last. */
  #release(): void {
    for (let i = this.#batches.length - 1; i >= 0 && this.#over(0.5); i -= 1) {
      const batch = this.#batches[i];
      if (batch?.record === undefined || batch.spans === undefined) continue;
      // Those are merged soon.
      if (isSmall(batch, this.#limits.batchSpans) && !this.#over(1)) continue;
      batch.spans = undefined;
      this.#memorySpans -= batch.count;
      this.#memoryBytes -= batch.bytes;
    }
  }
}
