import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, storageError } from '@mnops/core';
import { ensureFolder, openRecordLog, type RecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';

const format = { magic: 'MNAPMTRC', version: 1 } as const;
const largestSegment = 8_388_608;
const smallestSegment = 65_536;
/** A segment is given up as a whole when it is too old, so none may grow for long. */
const longestSegmentMs = 3_600_000;
const fileName = /^([0-9a-z]{9})-([0-9a-z-]{1,64})\.trc$/;

/** One file of traces. */
export interface Segment {
  readonly file: string;
  readonly name: string;
  /** Process that wrote it. */
  readonly owner: string;
  readonly bytes: number;
  /** Epoch milliseconds of the last write. */
  readonly modifiedMs: number;
}

/** Bounds of the segments of one folder. */
export interface TraceSegmentsOptions {
  readonly folder: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
}

/** How a file was when it was looked at, and when its last write was by the clock that never jumps. */
interface Sight {
  readonly modifiedMs: number;
  readonly sinceMs: number;
}

/**
 * Files of packed traces in one folder. Every process appends to files of its own and reads those of all; the oldest
 * files go when there are too many bytes or they are too old, whoever wrote them.
 */
export class TraceSegments {
  readonly #options: TraceSegmentsOptions;
  readonly #segmentBytes: number;
  #current: RecordLog | undefined;
  #currentSinceMs = 0;
  /** Bytes of all files as of the last look, and what was appended since. */
  #bytes = 0;
  #lastName = 0;
  readonly #sights = new Map<string, Sight>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  removed = 0;

  constructor(options: TraceSegmentsOptions) {
    this.#options = options;
    this.#segmentBytes = Math.min(largestSegment, Math.max(smallestSegment, Math.floor(options.maxBytes / 8)));
  }

  /** Bytes of all files, as far as this process knows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends one record. It survives the end of the process, and power loss once its file is full. */
  async append(owner: string, payload: Uint8Array): Promise<void> {
    const nowMs = this.#options.now();
    const isFull = (log: RecordLog): boolean =>
      // A wall clock may jump, in both directions.
      log.sizeBytes >= this.#segmentBytes || Math.abs(nowMs - this.#currentSinceMs) > longestSegmentMs;
    if (this.#current !== undefined && isFull(this.#current)) await this.close();
    if (this.#bytes + payload.length > this.#options.maxBytes) await this.prune(payload.length);
    this.#current ??= await this.#begin(owner, nowMs);
    await this.#current.append(payload, { sync: false });
    this.#bytes += payload.length + 64;
  }

  /** All files, newest first. */
  async list(): Promise<Segment[]> {
    const { folder } = this.#options;
    return await listSegments(folder);
  }

  /** Payloads of all files, newest first, at most one file in memory. Files that cannot be read are left out. */
  async *newestFirst(): AsyncIterable<Uint8Array> {
    // A folder that cannot be read was told of by whoever failed to write to it.
    const segments = await this.list().catch(() => []);
    for (const { file } of segments) {
      for (const payload of (await readSegment(file)).toReversed()) yield payload;
    }
  }

  /** Looks through the files of processes that ended, cuts off what a crash tore, and tells what is lost. */
  async mend(owner: string): Promise<readonly StorageDamage[]> {
    const damage: StorageDamage[] = [];
    for (const segment of await this.list()) {
      if (segment.owner !== owner) continue;
      try {
        const log = await openRecordLog({ file: segment.file, ...format });
        damage.push(...log.damage);
        await log.close();
      } catch (error) {
        damage.push(unreadable(segment.file, error));
      }
    }
    return damage;
  }

  /** Removes what is too old or too much. */
  async prune(room = 0): Promise<void> {
    const { maxBytes, maxAgeMs, monotonic } = this.#options;
    const segments = await this.list();
    this.#look(segments);
    let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    for (const segment of segments.toReversed()) {
      const old = monotonic() - (this.#sights.get(segment.file)?.sinceMs ?? monotonic()) > maxAgeMs;
      // Names go on after a wall clock was put back, times of files do not.
      if (!old && bytes + room <= maxBytes) continue;
      if (segment.file === this.#current?.file) await this.close();
      await unlink(segment.file).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw storageError('remove', segment.file, error);
      });
      bytes -= segment.bytes;
      this.removed += 1;
    }
    this.#bytes = bytes;
  }

  /**
   * Notes when each file was written to. The wall clock is asked at the first look only; what is written later is no older
   * than the look before. When the wall clock jumps, no file becomes older by that.
   */
  #look(segments: readonly Segment[]): void {
    const nowMs = this.#options.monotonic();
    const files = new Set(segments.map(({ file }) => file));
    for (const file of this.#sights.keys()) if (!files.has(file)) this.#sights.delete(file);
    for (const { file, modifiedMs } of segments) {
      if (this.#sights.get(file)?.modifiedMs === modifiedMs) continue;
      const sinceMs = nowMs - Math.max(0, this.#options.now() - modifiedMs);
      this.#sights.set(file, { modifiedMs, sinceMs: Math.max(sinceMs, this.#lookedMs) });
    }
    this.#lookedMs = nowMs;
  }

  /** Ends the file that is written to. */
  async close(): Promise<void> {
    const log = this.#current;
    this.#current = undefined;
    await log?.close();
  }

  async #begin(owner: string, nowMs: number): Promise<RecordLog> {
    const { folder } = this.#options;
    await ensureFolder(folder);
    // What is written now is the newest, even where a file bears a time that is still to come.
    const [newest] = await this.list();
    const newestName = newest === undefined ? 0 : Number.parseInt(newest.name.slice(0, 9), 36);
    this.#lastName = Math.max(this.#lastName + 1, newestName + 1, Math.floor(nowMs));
    this.#currentSinceMs = nowMs;
    const name = `${this.#lastName.toString(36).padStart(9, '0')}-${owner}.trc`;
    return await openRecordLog({ file: join(folder, name), ...format, maxRecordBytes: 268_435_456 });
  }
}

/** All segments of a folder, newest first; none when there is no folder. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw storageError('read', folder, error);
  });
  const segments: Segment[] = [];
  for (const name of names.sort().reverse()) {
    const owner = fileName.exec(name)?.[2];
    if (owner === undefined) continue;
    const file = join(folder, name);
    // Another process may remove it meanwhile.
    const facts = await stat(file).catch(() => undefined);
    if (facts?.isFile()) segments.push({ file, name, owner, bytes: facts.size, modifiedMs: facts.mtimeMs });
  }
  return segments;
}

/** Every whole record of a file; none when it cannot be read. */
async function readSegment(file: string): Promise<Uint8Array[]> {
  const payloads: Uint8Array[] = [];
  try {
    const log = await openRecordLog({ file, ...format, readOnly: true });
    try {
      for await (const { payload } of log.records()) payloads.push(payload);
    } finally {
      await log.close();
    }
  } catch {
    // Removed meanwhile, or damaged beyond reading; `start` tells of the latter.
  }
  return payloads;
}

/** What is wrong with one file of traces; nothing is changed. */
export async function inspectSegment(file: string): Promise<readonly StorageDamage[]> {
  try {
    const log = await openRecordLog({ file, ...format, readOnly: true });
    const { damage, sizeBytes } = log;
    await log.close();
    const { size } = await stat(file);
    if (size === sizeBytes) return damage;
    return [...damage, { ...unreadable(file, undefined), offset: sizeBytes }];
  } catch (error) {
    return [unreadable(file, error)];
  }
}

function unreadable(file: string, error: unknown): StorageDamage {
  return {
    code: codeOf(error) ?? 'MNOPS_CORE_STORAGE_UNREADABLE',
    file,
    offset: 0,
    records: 1,
    remedy: 'Restore the file from a backup if what it held matters, else remove it, and check the disk.',
  };
}
