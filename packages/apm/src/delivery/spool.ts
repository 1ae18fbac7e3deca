import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MnopsError } from '@mnops/core';
import { acquireFileLock, ensureFolder, type FileLock } from '@mnops/core/files';
import type { Clock, StorageDamage } from '@mnops/core/spi';
import type { ResolvedSpool } from './delivery-config.js';
import type { DropReason, SpoolStats } from './delivery-report.js';
import { Quarantine } from './quarantine.js';
import { type Adopted, adoptWriter, deadWriters, segmentName } from './spool-adoption.js';
import { encodeSpansEntry } from './spool-record.js';
import { type SpoolRecord, SpoolSegment } from './spool-segment.js';

/** What a spool works with. */
export interface SpoolOptions extends ResolvedSpool {
  readonly clock: Clock;
  /** Spans on disk that are given up, undelivered. */
  readonly onLost: (record: SpoolRecord, reason: DropReason) => void;
  /** Spans of a process that ended. */
  readonly onAdopted: (records: readonly SpoolRecord[]) => void;
  readonly onDamaged: (damage: StorageDamage) => void;
  /** Nothing can be written; it is tried again every 30 s. */
  readonly onFailed: (error: MnopsError) => void;
  /** Something can be written again. */
  readonly onRecovered: () => void;
}

const retryMs = 30_000;
const largestSegmentBytes = 4_194_304;

/**
 * Spans of one exporter on disk, until they are delivered. Each process writes segments under a name and a lock of its
 * own, and takes over the segments of processes that ended.
 */
export class Spool {
  readonly #options: SpoolOptions;
  /** Every file name of this process begins so. */
  readonly #writer: string = randomBytes(6).toString('hex');
  readonly #segments: Set<SpoolSegment> = new Set();
  readonly #quarantine: Quarantine;
  /** Locks of processes that ended, while segments of theirs are here. */
  readonly #taken: Map<string, Adopted> = new Map();
  readonly #segmentBytes: number;
  #lock: FileLock | undefined;
  #current: SpoolSegment | undefined;
  #number = 0;
  #failed = false;
  #damagedRecords = 0;
  #warm: SpoolSegment | undefined;
  #rolling: Promise<void> | undefined;
  #timer: { cancel(): void } | undefined;
  #closed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#segmentBytes = Math.min(largestSegmentBytes, Math.floor(options.maxBytes / 8));
    this.#quarantine = new Quarantine(join(options.folder, 'quarantine'), this.#segmentBytes * 2, () =>
      options.clock.now(),
    );
  }

  /** Whether spans can be written now. */
  get writable(): boolean {
    return this.#current !== undefined && !this.#failed && !this.#closed;
  }

  get stats(): Omit<SpoolStats, 'spans'> {
    let bytes = 0;
    for (const segment of this.#segments) {
      bytes += segment.bytes;
    }
    return {
      segments: this.#segments.size,
      bytes,
      quarantinedBytes: this.#quarantine.bytes,
      damagedRecords: this.#damagedRecords,
      writable: this.writable,
    };
  }

  /** Takes over what ended processes left and gets ready to write. Never rejects: without a disk, nothing is kept there. */
  async open(): Promise<void> {
    await this.#begin();
    if (this.writable) await this.#adopt();
    this.#watch();
  }

  /** Writes spans; the write has begun when this returns. */
  async append(spans: Uint8Array, count: number): Promise<SpoolRecord> {
    const nowMs = this.#options.clock.now();
    const segment = this.#current as SpoolSegment;
    const payload = encodeSpansEntry(spans, count, nowMs);
    let record: SpoolRecord;
    try {
      record = await segment.append(payload, count, nowMs, this.#options.fsync);
    } catch (error) {
      if (!MnopsError.is(error, 'MNOPS_CORE_TOO_LARGE')) this.#fail(error);
      throw error;
    }
    await this.#roll();
    return record;
  }

  /** Writes spans before it returns; for a process that ends. */
  appendSync(spans: Uint8Array, count: number): SpoolRecord {
    const nowMs = this.#options.clock.now();
    return (this.#current as SpoolSegment).appendSync(encodeSpansEntry(spans, count, nowMs), count, nowMs);
  }

  /** Whatever `append` has begun is written when this returns. */
  flushSync(): void {
    this.#current?.flushSync();
  }

  /** The bytes of a record, or `undefined` when it is damaged or gone. */
  async read(record: SpoolRecord): Promise<Uint8Array | undefined> {
    await this.#touch(record.segment);
    return await record.segment.read(record).catch(() => undefined);
  }

  /** Notes that the spans of these records are delivered or given up. */
  async delivered(records: readonly SpoolRecord[]): Promise<void> {
    const bySegment = new Map<SpoolSegment, SpoolRecord[]>();
    for (const record of records) {
      const list = bySegment.get(record.segment) ?? [];
      list.push(record);
      bySegment.set(record.segment, list);
    }
    for (const [segment, list] of bySegment) {
      await this.#touch(segment);
      // A note that cannot be written costs a second delivery of these spans.
      await segment.delivered(list).catch((error: unknown) => this.#fail(error));
      this.#forgetIfDone(segment);
    }
    await this.#releaseTaken();
  }

  /** Keeps the bytes of spans that the back end refuses, for a person to look at. */
  async quarantine(spans: Uint8Array, count: number): Promise<void> {
    await this.#quarantine.keep(spans, count);
  }

  /** Gives up what is too old. */
  async expire(): Promise<void> {
    const oldestMs = this.#options.clock.now() - this.#options.maxAgeMs;
    for (const segment of [...this.#segments]) {
      if (segment.newestMs < oldestMs && segment.live.size > 0) await this.#give(segment, 'spool-expired');
    }
  }

  /** Ends; what is on disk stays for the next process. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#rolling;
    await this.#warm?.rest().catch(() => undefined);
    await this.#current?.seal().catch(() => undefined);
    await this.#quarantine.close();
    for (const { lock } of this.#taken.values()) await lock.release().catch(() => undefined);
    await this.#lock?.release().catch(() => undefined);
  }

  /** Makes the folder, the lock and a first segment; what fails is tried again later. */
  async #begin(): Promise<void> {
    try {
      await ensureFolder(this.#options.folder);
      this.#lock ??= await acquireFileLock(join(this.#options.folder, `${this.#writer}.lock`), { purpose: 'spool' });
      await this.#nextSegment();
      if (this.#failed) {
        this.#failed = false;
        this.#options.onRecovered();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #nextSegment(): Promise<void> {
    const before = this.#current;
    this.#number += 1;
    const file = join(this.#options.folder, segmentName(this.#writer, this.#number));
    const segment = await SpoolSegment.create(file, this.#options.clock.now());
    this.#segments.add(segment);
    this.#current = segment;
    if (before === undefined) return;
    await before.seal().catch(() => undefined);
    this.#forgetIfDone(before);
  }

  /** Begins a new segment where the current one is full, and gives up the oldest where all together are too large. */
  async #roll(): Promise<void> {
    this.#rolling ??= this.#rollOnce().finally(() => {
      this.#rolling = undefined;
    });
    await this.#rolling;
  }

  async #rollOnce(): Promise<void> {
    const current = this.#current;
    if (current === undefined || this.#failed || this.#closed) return;
    const full = current.bytes >= this.#segmentBytes;
    // A segment whose spans are all delivered is as good as empty.
    const stale = current.live.size === 0 && current.bytes > this.#segmentBytes / 8;
    try {
      if (full || stale) await this.#nextSegment();
    } catch (error) {
      this.#fail(error);
      return;
    }
    while (this.#segments.size > 1 && this.stats.bytes > this.#options.maxBytes) {
      const [oldest] = this.#segments;
      if (oldest === undefined || oldest === this.#current) break;
      await this.#give(oldest, 'spool-full');
    }
  }

  async #give(segment: SpoolSegment, reason: DropReason): Promise<void> {
    if (segment === this.#current) {
      try {
        await this.#nextSegment();
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
    const lost = [...segment.live.values()];
    segment.live.clear();
    for (const record of lost) this.#options.onLost(record, reason);
    await segment.remove();
    this.#forgetIfDone(segment);
    await this.#releaseTaken();
  }

  /** Takes over the segments of writers that ended. */
  async #adopt(): Promise<void> {
    const { folder, onAdopted } = this.#options;
    const found: SpoolRecord[] = [];
    for (const writer of await deadWriters(folder, (name) => name === this.#writer || this.#taken.has(name))) {
      const adopted = await adoptWriter(folder, writer, {
        damaged: (damage) => this.#damaged(damage),
        unreadable: async (file) => await this.#quarantine.move(file),
      }).catch(() => undefined);
      if (adopted === undefined) continue;
      this.#taken.set(writer, adopted);
      for (const segment of adopted.segments) {
        this.#segments.add(segment);
        found.push(...segment.live.values());
      }
    }
    // The oldest first, whoever wrote it; the current segment stays behind the others.
    found.sort((left, right) => left.createdMs - right.createdMs);
    const ordered = [...this.#segments].sort((left, right) => left.newestMs - right.newestMs);
    this.#segments.clear();
    for (const segment of ordered) if (segment !== this.#current) this.#segments.add(segment);
    if (this.#current !== undefined) this.#segments.add(this.#current);
    if (found.length > 0) onAdopted(found);
    await this.#releaseTaken();
  }

  #damaged(damage: StorageDamage): void {
    this.#damagedRecords += damage.records;
    this.#options.onDamaged(damage);
  }

  #forgetIfDone(segment: SpoolSegment): void {
    if (segment !== this.#current && segment.live.size === 0) {
      this.#segments.delete(segment);
      if (this.#warm === segment) this.#warm = undefined;
    }
  }

  async #releaseTaken(): Promise<void> {
    for (const [writer, { segments, lock }] of this.#taken) {
      if (segments.some((segment) => this.#segments.has(segment))) continue;
      this.#taken.delete(writer);
      await lock.release().catch(() => undefined);
    }
  }

  /** One sealed segment at a time is open for reading. */
  async #touch(segment: SpoolSegment): Promise<void> {
    if (segment === this.#warm || segment === this.#current) return;
    const before = this.#warm;
    this.#warm = segment;
    if (before?.sealed === true) await before.rest().catch(() => undefined);
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#closed) return;
    this.#failed = true;
    if (MnopsError.is(error)) this.#options.onFailed(error);
  }

  /** Every 30 s: is the disk there again, did another process end, is anything too old. */
  #watch(): void {
    this.#timer = this.#options.clock.setTimer(retryMs, () => {
      this.#look()
        .catch(() => undefined)
        .finally(() => {
          if (!this.#closed) this.#watch();
        });
    });
  }

  async #look(): Promise<void> {
    if (this.#failed) await this.#begin();
    if (this.#closed || !this.writable) return;
    await this.#adopt();
    await this.expire();
  }
}
