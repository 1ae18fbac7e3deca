import { unlink } from 'node:fs/promises';
import { openRecordLog, type RecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import { decodeEntry, encodeDeliveredEntry } from './spool-record.js';

/** Kind of a segment file. */
export const segmentMagic = 'MNAPMSPL';
/** Version of what stands in its records. */
export const segmentVersion = 1;

/** Spans on disk: one record of one segment. */
export interface SpoolRecord {
  readonly segment: SpoolSegment;
  readonly sequence: number;
  readonly offset: number;
  /** Spans in it. */
  readonly count: number;
  /** When it was written, epoch milliseconds. */
  readonly createdMs: number;
}

/** One append-only file of the spool. */
export class SpoolSegment {
  readonly file: string;
  /** Records whose spans are not delivered yet, by sequence. */
  readonly live: Map<number, SpoolRecord> = new Map();
  #log: RecordLog | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #bytes: number;
  #sealed: boolean;
  #gone = false;
  /** What was found damaged when the segment was read. */
  damage: readonly StorageDamage[] = [];
  /** When the newest record was written. */
  newestMs = 0;

  private constructor(file: string, log: RecordLog, sealed: boolean) {
    this.file = file;
    this.#log = log;
    this.#bytes = log.sizeBytes;
    this.#sealed = sealed;
  }

  /** A new segment to write to. */
  static async create(file: string, nowMs: number): Promise<SpoolSegment> {
    const segment = new SpoolSegment(file, await openLog(file), false);
    segment.newestMs = nowMs;
    return segment;
  }

  /** A segment that another process left. @throws {MnopsError} When neither copy of its header can be read. */
  static async adopt(file: string): Promise<SpoolSegment> {
    const log = await openLog(file);
    const segment = new SpoolSegment(file, log, true);
    for await (const { sequence, offset, payload } of log.records()) {
      const entry = decodeEntry(payload);
      if (entry?.kind === 'spans') {
        const { count, createdMs } = entry;
        segment.newestMs = Math.max(segment.newestMs, createdMs);
        segment.live.set(sequence, { segment, sequence, offset, count, createdMs });
      } else if (entry?.kind === 'delivered') {
        for (const delivered of entry.sequences) segment.live.delete(delivered);
      }
    }
    segment.damage = log.damage;
    await segment.#rest();
    return segment;
  }

  get bytes(): number {
    return this.#gone ? 0 : (this.#log?.sizeBytes ?? this.#bytes);
  }

  /** Whether nothing is written to it any more but what was delivered. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Writes spans; the write has begun when this returns. */
  async append(payload: Buffer, count: number, createdMs: number, sync: boolean): Promise<SpoolRecord> {
    const log = this.#log;
    if (log === undefined) throw new Error('the segment is closed');
    const { firstSequence, offset } = await log.append(payload, { sync });
    return this.#note(firstSequence, offset, count, createdMs);
  }

  /** Writes everything that waits and then, if given, one payload before it returns. */
  appendSync(payload: Buffer, count: number, createdMs: number): SpoolRecord {
    const log = this.#log;
    if (log === undefined) throw new Error('the segment is closed');
    log.appendSync(payload);
    return this.#note(log.nextSequence - 1, log.sizeBytes - payload.length - recordOverheadBytes, count, createdMs);
  }

  /** Whatever waits is written when this returns. */
  flushSync(): void {
    this.#log?.appendSync(encodeDeliveredEntry([]));
  }

  #note(sequence: number, offset: number, count: number, createdMs: number): SpoolRecord {
    const record = { segment: this, sequence, offset, count, createdMs };
    this.live.set(sequence, record);
    this.newestMs = createdMs;
    return record;
  }

  /** What a record holds, or `undefined` when it is damaged or gone. A sealed segment stays open until `rest`. */
  read(record: SpoolRecord): Promise<Uint8Array | undefined> {
    return this.#inTurn(async () => {
      if (this.#gone) return undefined;
      const log = await this.#open();
      for await (const { sequence, payload } of log.records({ fromOffset: record.offset })) {
        const entry = sequence === record.sequence ? decodeEntry(payload) : undefined;
        return entry?.kind === 'spans' ? entry.bytes : undefined;
      }
      return undefined;
    });
  }

  /** Notes that records are delivered; a sealed segment without any other goes. */
  delivered(records: readonly SpoolRecord[]): Promise<void> {
    for (const { sequence } of records) this.live.delete(sequence);
    return this.#inTurn(async () => {
      if (this.#gone) return;
      if (this.#sealed && this.live.size === 0) {
        await this.#remove();
        return;
      }
      const log = await this.#open();
      await log.append(encodeDeliveredEntry(records.map(({ sequence }) => sequence)), { sync: false });
    });
  }

  /** Ends writing; a segment without undelivered spans goes. */
  seal(): Promise<void> {
    this.#sealed = true;
    return this.#inTurn(async () => {
      if (this.live.size === 0) await this.#remove();
      else await this.#rest();
    });
  }

  /** Closes the file until it is read again. */
  rest(): Promise<void> {
    return this.#inTurn(() => this.#rest());
  }

  /** Deletes the file. */
  remove(): Promise<void> {
    return this.#inTurn(() => this.#remove());
  }

  async #remove(): Promise<void> {
    if (this.#gone) return;
    await this.#rest().catch(() => undefined);
    this.#gone = true;
    await unlink(this.file).catch(() => undefined);
  }

  /** One after the other: what one opens another must not close. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #open(): Promise<RecordLog> {
    this.#log ??= await openLog(this.file);
    return this.#log;
  }

  async #rest(): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    this.#bytes = log.sizeBytes;
    this.#log = undefined;
    await log.close();
  }
}

/** What stands before each payload in a record log. */
const recordOverheadBytes = 28;

function openLog(file: string): Promise<RecordLog> {
  return openRecordLog({ file, magic: segmentMagic, version: segmentVersion });
}
