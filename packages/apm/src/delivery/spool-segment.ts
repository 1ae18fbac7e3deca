import { stat, unlink } from 'node:fs/promises';
import { codeOf, MnopsError } from '@mnops/core';
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
  /** Age of its newest record when it was read, milliseconds. */
  ageMs = 0;
  /** Monotonic time of its newest record: a wall clock that jumps makes nothing old. */
  newestMs = 0;

  private constructor(file: string, log: RecordLog, sealed: boolean) {
    this.file = file;
    this.#log = log;
    this.#bytes = log.sizeBytes;
    this.#sealed = sealed;
  }

  /** A new segment to write to. */
  static async create(file: string): Promise<SpoolSegment> {
    return new SpoolSegment(file, await openLog(file), false);
  }

  /** A segment that another process left. @throws {MnopsError} When neither copy of its header can be read. */
  static async adopt(file: string, nowMs: number): Promise<SpoolSegment> {
    const log = await openLog(file);
    const segment = new SpoolSegment(file, log, true);
    let newestMs = Number.NEGATIVE_INFINITY;
    for await (const { sequence, offset, payload } of log.records()) {
      const entry = decodeEntry(payload);
      if (entry?.kind === 'spans') {
        const { count, createdMs } = entry;
        newestMs = Math.max(newestMs, createdMs);
        segment.live.set(sequence, { segment, sequence, offset, count, createdMs });
      } else if (entry?.kind === 'delivered') {
        for (const delivered of entry.sequences) segment.live.delete(delivered);
      }
    }
    segment.damage = log.damage;
    segment.ageMs = newestMs === Number.NEGATIVE_INFINITY ? 0 : Math.max(0, nowMs - newestMs);
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

  /** Whether its file is where it was made: a folder may be removed while a file in it is open. */
  async isThere(): Promise<boolean> {
    try {
      await stat(this.file);
      return true;
    } catch (error) {
      return codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR';
    }
  }

  /** Writes spans; the write has begun when this returns. */
  async append(payload: Buffer, count: number, createdMs: number, sync: boolean): Promise<SpoolRecord> {
    const log = this.#log;
    if (log === undefined) throw new Error('the segment is closed');
    const { firstSequence, offset } = await log.append(payload, { sync });
    return this.#note(firstSequence, offset, count, createdMs);
  }

  /** Writes everything that waits and then one payload before it returns. */
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
    return record;
  }

  /**
   * What a record holds, or `undefined` when it is damaged or gone. A sealed segment stays open until `rest`.
   *
   * @throws {MnopsError} When the file cannot be read now.
   */
  read(record: SpoolRecord): Promise<Uint8Array | undefined> {
    return this.#inTurn(async () => {
      if (this.#gone || (this.#log === undefined && !(await this.isThere()))) return undefined;
      try {
        return await readFrom(await this.#open(), record);
      } catch (error) {
        if (!isReadOnly(error)) throw error;
        const log = await openLog(this.file, true);
        try {
          return await readFrom(log, record);
        } finally {
          await log.close();
        }
      }
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
      // What was removed by others must not be made anew.
      if (this.#log === undefined && !(await this.isThere())) return;
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

  /** Leaves the file as it is and has nothing to do with it any more. */
  abandon(): Promise<void> {
    this.live.clear();
    this.#sealed = true;
    return this.#inTurn(async () => {
      this.#gone = true;
      await this.#rest();
    });
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

function openLog(file: string, readOnly = false): Promise<RecordLog> {
  return openRecordLog({ file, magic: segmentMagic, version: segmentVersion, readOnly });
}

async function readFrom(log: RecordLog, record: SpoolRecord): Promise<Uint8Array | undefined> {
  for await (const { sequence, payload } of log.records({ fromOffset: record.offset })) {
    const entry = sequence === record.sequence ? decodeEntry(payload) : undefined;
    return entry?.kind === 'spans' ? entry.bytes : undefined;
  }
  return undefined;
}

/** Whether a file could be read, but not written. */
function isReadOnly(error: unknown): boolean {
  const reason = MnopsError.is(error) ? error.details?.['reason'] : codeOf(error);
  return reason === 'EROFS' || reason === 'EACCES' || reason === 'EPERM' || reason === 'ENOSPC';
}
