import type { FileHandle } from 'node:fs/promises';
import { decodeRecordHeader, markerBytes, payloadMatches, recordHeaderBytes } from './record-format.js';

/** One whole record. */
export interface ScannedRecord {
  readonly kind: 'record';
  readonly sequence: number;
  readonly offset: number;
  readonly nextOffset: number;
  /** A view into the scanner's window: copy it to keep it. */
  readonly payload: Buffer;
}

/** Bytes that hold no whole record. */
export interface ScannedGap {
  /** `damage`: unreadable bytes. `short`: a record that the file ends within. `zeros`: nothing but zeros up to the end. */
  readonly kind: 'damage' | 'short' | 'zeros';
  readonly offset: number;
  readonly nextOffset: number;
  /** Whether the file ends with these bytes. */
  readonly atEnd: boolean;
  /** Number of the record that stood here, where its header is whole. */
  readonly sequence?: number | undefined;
}

const windowBytes = 256 * 1024;

/**
 * Walks the records of a file from a place on. After damage it goes on at the next place where a whole record header
 * stands; first it tries the place that the damaged record's own header names, if that header is whole.
 */
export async function* scanRecords(
  file: FileHandle,
  id: Buffer,
  from: number,
): AsyncGenerator<ScannedRecord | ScannedGap, void, undefined> {
  const window = new Window(file);
  let at = from;
  for (;;) {
    if (!window.has(at, recordHeaderBytes)) {
      const available = await window.load(at, recordHeaderBytes);
      if (available === 0) return;
      if (available < recordHeaderBytes) {
        yield await lastBytes(window, id, at, at + available);
        return;
      }
    }
    const header = decodeRecordHeader(window.bytes, window.index(at), id);
    const end = header === undefined ? at : at + recordHeaderBytes + header.length;
    if (header !== undefined && (window.has(at, end - at) || (await window.loadWhole(at, end - at)))) {
      const start = window.index(at) + recordHeaderBytes;
      const payload = window.bytes.subarray(start, start + header.length);
      if (payloadMatches(header, payload)) {
        yield { kind: 'record', sequence: header.sequence, offset: at, nextOffset: end, payload };
        at = end;
        continue;
      }
    }
    const gap = await measureGap(window, id, at, header === undefined ? undefined : { ...header, end });
    yield gap;
    if (gap.atEnd) return;
    at = gap.nextOffset;
  }
}

async function measureGap(
  window: Window,
  id: Buffer,
  at: number,
  header: { readonly sequence: number; readonly end: number } | undefined,
): Promise<ScannedGap> {
  const fileEnd = await window.fileSize();
  const sequence = header?.sequence;
  if (header !== undefined && header.end <= fileEnd) {
    // The payload alone is damaged, if another record begins right where it ends.
    if (header.end === fileEnd) return { kind: 'damage', offset: at, nextOffset: fileEnd, atEnd: true, sequence };
    if (await headerAt(window, id, header.end)) {
      return { kind: 'damage', offset: at, nextOffset: header.end, atEnd: false, sequence };
    }
  }
  const next = await findRecord(window, id, at + 1);
  if (next !== undefined) return { kind: 'damage', offset: at, nextOffset: next, atEnd: false, sequence };
  const rest = { offset: at, nextOffset: fileEnd, atEnd: true, sequence };
  if (header !== undefined) return { kind: header.end > fileEnd ? 'short' : 'damage', ...rest };
  return { kind: (await onlyZeros(window, at, fileEnd)) ? 'zeros' : 'damage', ...rest };
}

/** Fewer bytes than a record header: the beginning of a record, zeros, or neither. */
async function lastBytes(window: Window, id: Buffer, at: number, end: number): Promise<ScannedGap> {
  const start = window.index(at);
  const length = Math.min(end - at, markerBytes);
  const begins = window.bytes.compare(id, 0, length, start, start + length) === 0;
  const kind = begins ? 'short' : (await onlyZeros(window, at, end)) ? 'zeros' : 'damage';
  return { kind, offset: at, nextOffset: end, atEnd: true };
}

async function headerAt(window: Window, id: Buffer, at: number): Promise<boolean> {
  if ((await window.load(at, recordHeaderBytes)) < recordHeaderBytes) return false;
  return decodeRecordHeader(window.bytes, window.index(at), id) !== undefined;
}

async function findRecord(window: Window, id: Buffer, from: number): Promise<number | undefined> {
  const marker = id.subarray(0, markerBytes);
  let at = from;
  for (;;) {
    const available = await window.load(at, windowBytes);
    if (available < recordHeaderBytes) return undefined;
    const start = window.index(at);
    const found = window.bytes.subarray(start, start + available).indexOf(marker);
    if (found === -1) {
      at += available - markerBytes + 1;
      if (available < windowBytes) return undefined;
    } else if (await headerAt(window, id, at + found)) {
      return at + found;
    } else {
      at += found + 1;
    }
  }
}

async function onlyZeros(window: Window, from: number, end: number): Promise<boolean> {
  let at = from;
  while (at < end) {
    const available = await window.load(at, Math.min(windowBytes, end - at));
    if (available === 0) return true;
    const start = window.index(at);
    for (let index = start; index < start + available; index++) if (window.bytes[index] !== 0) return false;
    at += available;
  }
  return true;
}

/** The part of the file that is in memory. */
class Window {
  readonly #file: FileHandle;
  #base = 0;
  bytes: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle) {
    this.#file = file;
  }

  index(at: number): number {
    return at - this.#base;
  }

  async fileSize(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  has(at: number, wanted: number): boolean {
    return at >= this.#base && at + wanted <= this.#base + this.bytes.length;
  }

  /** Loads bytes only if the file has all of them: a length may announce gigabytes that are not there. */
  async loadWhole(at: number, wanted: number): Promise<boolean> {
    if (at + wanted > (await this.fileSize())) return false;
    return (await this.load(at, wanted)) === wanted;
  }

  /** Brings bytes from `at` on into memory; returns how many of the wanted ones the file has. */
  async load(at: number, wanted: number): Promise<number> {
    if (this.has(at, wanted)) return wanted;
    // A new buffer each time: views into the old one may still be in use.
    const target = Buffer.allocUnsafeSlow(Math.max(wanted, windowBytes));
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.#file.read(target, filled, target.length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
      if (filled >= wanted) break;
    }
    this.#base = at;
    this.bytes = target.subarray(0, filled);
    return Math.min(filled, wanted);
  }
}
