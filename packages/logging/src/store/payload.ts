import type { JsonValue, LogEntry, NewLogEntry } from '@mnops/core/spi';
import { entryOfOwnLine } from '../parse/own-line.js';
import { entryId } from './chunk.js';

/** Position in a source that entries end at. */
export interface Checkpoint {
  readonly source: string;
  readonly value: JsonValue;
  readonly savedMs: number;
}

/** One write: the lines of a turn, or a batch of entries with its checkpoint. */
export interface Payload {
  readonly firstSequence: number;
  readonly count: number;
  readonly checkpoint?: Checkpoint | undefined;
  /** Lines, each with its terminator. */
  readonly lines: Buffer;
  /** Words of its entries, once a search asked for some. */
  bloom?: Uint8Array | undefined;
  /** Time range, once the lines were read. */
  range?: { readonly minMs: number; readonly maxMs: number; readonly maxSeverity: number } | undefined;
}

const fixedBytes = 20;

/** A write as the bytes of one record. */
export function encodePayload(payload: Payload): Buffer {
  const checkpoint =
    payload.checkpoint === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(payload.checkpoint));
  const bytes = Buffer.allocUnsafe(fixedBytes + checkpoint.length + payload.lines.length);
  bytes.writeUInt32LE(1, 0);
  bytes.writeUInt32LE(payload.count, 4);
  bytes.writeDoubleLE(payload.firstSequence, 8);
  bytes.writeUInt32LE(checkpoint.length, 16);
  checkpoint.copy(bytes, fixedBytes);
  payload.lines.copy(bytes, fixedBytes + checkpoint.length);
  return bytes;
}

/** The write behind a record, or `undefined` when its bytes are not one. */
export function decodePayload(bytes: Uint8Array): Payload | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < fixedBytes || view.readUInt32LE(0) !== 1) return undefined;
  const linesAt = fixedBytes + view.readUInt32LE(16);
  if (linesAt > view.length) return undefined;
  const checkpoint =
    linesAt === fixedBytes ? undefined : (JSON.parse(view.toString('utf8', fixedBytes, linesAt)) as Checkpoint);
  return {
    count: view.readUInt32LE(4),
    firstSequence: view.readDoubleLE(8),
    checkpoint,
    lines: view.subarray(linesAt),
  };
}

/** The entries of a write, without ids. A line that this package did not write is left out. */
export function entriesOf(payload: Payload): NewLogEntry[] {
  const entries: NewLogEntry[] = [];
  for (const line of payload.lines.toString().split('\n')) {
    if (line === '') continue;
    const entry = entryOfOwnLine(JSON.parse(line) as Readonly<Record<string, unknown>>);
    if (entry !== undefined) entries.push(entry);
  }
  payload.range ??= rangeOf(entries);
  return entries;
}

/** The entries of a write with their ids. */
export function identifiedEntries(payload: Payload, writer: string): LogEntry[] {
  return entriesOf(payload).map((entry, index) => ({ id: entryId(writer, payload.firstSequence + index), ...entry }));
}

function rangeOf(entries: readonly NewLogEntry[]): NonNullable<Payload['range']> {
  let minMs = Number.POSITIVE_INFINITY;
  let maxMs = Number.NEGATIVE_INFINITY;
  let maxSeverity = 0;
  for (const { timeMs, severityNumber } of entries) {
    if (timeMs < minMs) minMs = timeMs;
    if (timeMs > maxMs) maxMs = timeMs;
    if (severityNumber > maxSeverity) maxSeverity = severityNumber;
  }
  return { minMs, maxMs, maxSeverity };
}
