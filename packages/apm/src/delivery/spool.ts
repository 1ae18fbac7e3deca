import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MnopsError, storageError } from '@mnops/core';
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
  /** Spans whose file was removed by others: those that are in memory too may be written again. */
  readonly onGone: (record: SpoolRecord) => void;
  /** Spans of a process that ended. */
  readonly onAdopted: (records: readonly SpoolRecord[]) => void;
  readonly onDamaged: (damage: StorageDamage) => void;
  /** Nothing can be written; it is tried again every 30 s. */
  readonly onFailed: (error: MnopsError) => void;
  /** Something can be written again. */
  readonly onRecovered: () => void;
}

const retryMs = 30_000;
/** Milliseconds between attempts to read what cannot be read now: a disk may come back, and files be free to open again. */
const readAgainMs = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];
/** Milliseconds that a start waits for what others left; more of it follows while the manager runs. */
const longestAdoptionMs = 5_000;
/** Writers that are taken over at once. */
const adoptedAtOnce = 8;
/** Files that cannot be read and were told of. */
const mostTold = 1_000;
const largestSegmentBytes = 4_194_304;

/**
 * Spans of one exporter on disk, until they are delivered. Each process writes segments under a name and a lock of its
 * own, and takes over the segments of processes that ended.
 */
export class Spool {
  readonly #options: SpoolOptions;
  /** Every file name of this process begins so. */
  #writer = newWriter();
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
  #adopting: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  readonly #told: Set<string> = new Set();
  /** Ends the wait before a file is read again. */
  readonly #waits: Set<() => void> = new Set();
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
    await this.#quarantine.look();
    if (this.writable) await this.#atMost(longestAdoptionMs, this.#adopt());
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
      segment.newestMs = this.#options.clock.monotonic();
    } catch (error) {
      if (MnopsError.is(error, 'MNOPS_CORE_TOO_LARGE')) throw error;
      throw this.#fail(error);
    }
    await this.#assertThere();
    await this.#roll();
    return record;
  }

  /** Writes spans before it returns; for a process that ends. */
  appendSync(spans: Uint8Array, count: number): SpoolRecord {
    const nowMs = this.#options.clock.now();
    const segment = this.#current as SpoolSegment;
    const record = segment.appendSync(encodeSpansEntry(spans, count, nowMs), count, nowMs);
    segment.newestMs = this.#options.clock.monotonic();
    return record;
  }

  /** Whatever `append` has begun is written when this returns. */
  flushSync(): void {
    this.#current?.flushSync();
  }

  /**
   * The bytes of a record, or `undefined` when it is damaged or gone. What the disk does not give now is asked for again
   * for about a minute; then its file is left alone, and found again at the next look.
   *
   * @throws {MnopsError} When the spool was closed meanwhile: the record stays as it is.
   */
  async read(record: SpoolRecord): Promise<Uint8Array | undefined> {
    const { segment } = record;
    for (const waitMs of [...readAgainMs, undefined]) {
      await this.#touch(segment);
      try {
        return await segment.read(record);
      } catch (error) {
        if (waitMs !== undefined) await this.#wait(waitMs);
        if (this.#closed) throw asStorageError(error, segment.file);
      }
    }
    await this.#leave(record);
    return undefined;
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

  /** Keeps the bytes of spans that the back end refuses, for a person to look at. @returns The file, if the disk took them. */
  async quarantine(spans: Uint8Array, count: number): Promise<string | undefined> {
    return await this.#quarantine.keep(spans, count);
  }

  /** Gives up what is too old. */
  async expire(): Promise<void> {
    const oldestMs = this.#options.clock.monotonic() - this.#options.maxAgeMs;
    for (const segment of [...this.#segments]) {
      if (segment.newestMs < oldestMs && segment.live.size > 0) await this.#give(segment, 'spool-expired');
    }
  }

  /** Ends; what is on disk stays for the next process. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    for (const end of [...this.#waits]) end();
    // A look that is under way may take a lock and make a segment, which must not outlive this.
    await this.#looking;
    await this.#adopting;
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
      if (this.#current !== undefined && !(await this.#current.isThere())) await this.#startAnew();
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
    const nowMs = this.#options.clock.monotonic();
    const segment = await SpoolSegment.create(file);
    segment.newestMs = nowMs;
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

  /** Takes over the segments of writers that ended; a second call waits for the first. */
  async #adopt(): Promise<void> {
    this.#adopting ??= this.#adoptAll().finally(() => {
      this.#adopting = undefined;
    });
    await this.#adopting;
  }

  async #adoptAll(): Promise<void> {
    const { folder } = this.#options;
    const left = [...(await deadWriters(folder, (name) => name === this.#writer || this.#taken.has(name)))];
    while (left.length > 0 && !this.#closed) {
      const some = left.splice(0, adoptedAtOnce);
      const adopted = await Promise.all(some.map(([writer, names]) => this.#adoptOne(writer, names)));
      this.#take(adopted.flat());
    }
    await this.#releaseTaken();
  }

  async #adoptOne(writer: string, names: readonly string[]): Promise<readonly SpoolSegment[]> {
    const adopted = await adoptWriter(this.#options.folder, writer, names, {
      damaged: (damage) => this.#damaged(damage),
      unreadable: async (file, damage) => {
        this.#damaged(damage);
        await this.#quarantine.move(file);
      },
      now: () => this.#options.clock.now(),
    }).catch(() => undefined);
    if (adopted === undefined) return [];
    const { segments, lock } = adopted;
    if (segments.length === 0) await lock.release().catch(() => undefined);
    else this.#taken.set(writer, adopted);
    return segments;
  }

  /** The oldest first, whoever wrote it; the current segment stays behind the others. */
  #take(adopted: readonly SpoolSegment[]): void {
    if (adopted.length === 0) return;
    const nowMs = this.#options.clock.monotonic();
    for (const segment of adopted) segment.newestMs = nowMs - segment.ageMs;
    const ordered = [...this.#segments, ...adopted].sort((left, right) => left.newestMs - right.newestMs);
    this.#segments.clear();
    for (const segment of ordered) if (segment !== this.#current) this.#segments.add(segment);
    if (this.#current !== undefined) this.#segments.add(this.#current);
    const found = adopted.flatMap(({ live }) => [...live.values()]);
    this.#options.onAdopted(found.sort((left, right) => left.createdMs - right.createdMs));
  }

  /** Tells of damage, and of what stays where it is once only. */
  #damaged(damage: StorageDamage): void {
    const key = `${damage.file} ${damage.offset}`;
    if (this.#told.has(key)) return;
    if (this.#told.size >= mostTold) this.#told.clear();
    this.#told.add(key);
    this.#damagedRecords += damage.records;
    this.#options.onDamaged(damage);
  }

  /** The folder may be removed while this process writes to a file in it: what is written then is nowhere. */
  async #assertThere(): Promise<void> {
    const segment = this.#current;
    if (segment === undefined || this.#closed || (await segment.isThere())) return;
    const removed = storageError('write', segment.file, { code: 'ENOENT' });
    this.#fail(removed);
    await this.#begin();
    throw removed;
  }

  /** Under another name, in a folder that was removed and made again. */
  async #startAnew(): Promise<void> {
    const before = [...this.#segments];
    await this.#lock?.release().catch(() => undefined);
    this.#lock = undefined;
    this.#writer = newWriter();
    this.#number = 0;
    this.#current = undefined;
    for (const segment of before) {
      if (await segment.isThere()) continue;
      const lost = [...segment.live.values()];
      this.#segments.delete(segment);
      if (this.#warm === segment) this.#warm = undefined;
      await segment.abandon().catch(() => undefined);
      for (const record of lost) this.#options.onGone(record);
    }
    await this.#releaseTaken();
  }

  /** A file that cannot be read stays as it is, and nobody here waits for it. */
  async #leave(record: SpoolRecord): Promise<void> {
    const { segment } = record;
    if (segment === this.#current) return;
    const lost = [...segment.live.values()].filter((other) => other !== record);
    this.#segments.delete(segment);
    if (this.#warm === segment) this.#warm = undefined;
    await segment.abandon().catch(() => undefined);
    for (const other of lost) this.#options.onLost(other, 'spool-damaged');
    this.#damaged({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      file: segment.file,
      offset: 0,
      records: lost.length + 1,
      remedy: 'Make the file readable for this process: the spans in it are sent then. It is tried again every 30 s.',
    });
    await this.#releaseTaken();
  }

  /** Waits, but never keeps the process; closing ends it. */
  async #wait(ms: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#waits.delete(end);
        resolve();
      };
      const timer = this.#options.clock.setTimer(ms, end);
      this.#waits.add(end);
    });
  }

  async #atMost(ms: number, work: Promise<void>): Promise<void> {
    let timer: { cancel(): void } | undefined;
    const over = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimer(ms, resolve);
    });
    await Promise.race([work, over]);
    timer?.cancel();
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

  /** Nothing is written for a while. @returns What failed, as an error of ours. */
  #fail(error: unknown): MnopsError {
    const failure = asStorageError(error, this.#options.folder);
    if (this.#failed || this.#closed) return failure;
    this.#failed = true;
    this.#options.onFailed(failure);
    return failure;
  }

  /** Every 30 s: is the disk there again, did another process end, is anything too old. */
  #watch(): void {
    this.#timer = this.#options.clock.setTimer(retryMs, () => {
      this.#looking = this.#look()
        .catch(() => undefined)
        .finally(() => {
          this.#looking = undefined;
          if (!this.#closed) this.#watch();
        });
    });
  }

  async #look(): Promise<void> {
    if (!this.#failed) await this.#assertThere().catch(() => undefined);
    if (this.#failed) await this.#begin();
    if (this.#closed || !this.writable) return;
    await this.#adopt();
    await this.expire();
  }
}

function newWriter(): string {
  return randomBytes(6).toString('hex');
}

function asStorageError(error: unknown, path: string): MnopsError {
  return MnopsError.is(error) ? error : storageError('write', path, error);
}
