import type { Span, SpanBatch } from '@mnops/core/spi';

/** How spans become bytes and spans again. */
export interface SpanCodec {
  encode(batch: SpanBatch): Uint8Array;
  /** @throws What it likes, for bytes that it cannot read. */
  decode(bytes: Uint8Array): readonly Span[];
}

/** What one record of a segment says; the layout is in `docs/formats/apm-spool.md`. */
export type SpoolEntry =
  | { readonly kind: 'spans'; readonly count: number; readonly createdMs: number; readonly bytes: Uint8Array }
  | { readonly kind: 'delivered'; readonly sequences: readonly number[] };

const spansKind = 1;
const deliveredKind = 2;
/** Bytes before the spans of a record. */
export const entryHeaderBytes = 16;

/** A record with spans. */
export function encodeSpansEntry(spans: Uint8Array, count: number, createdMs: number): Buffer {
  const payload = Buffer.alloc(entryHeaderBytes + spans.length);
  payload.writeUInt8(spansKind, 0);
  payload.writeUInt32LE(count, 4);
  payload.writeDoubleLE(createdMs, 8);
  payload.set(spans, entryHeaderBytes);
  return payload;
}

/** A record that says which records of the same segment are delivered. */
export function encodeDeliveredEntry(sequences: readonly number[]): Buffer {
  const payload = Buffer.alloc(4 + 4 * sequences.length);
  payload.writeUInt8(deliveredKind, 0);
  for (const [index, sequence] of sequences.entries()) payload.writeUInt32LE(sequence, 4 + 4 * index);
  return payload;
}

/** What a record says, or `undefined` for one that this program does not know. */
export function decodeEntry(payload: Uint8Array): SpoolEntry | undefined {
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.length < 4) return undefined;
  const kind = view.readUInt8(0);
  if (kind === spansKind && view.length >= entryHeaderBytes) {
    const [count, createdMs] = [view.readUInt32LE(4), view.readDoubleLE(8)];
    // Whole, but written by nobody of us: a span has more than one byte.
    if (count === 0 || count > view.length - entryHeaderBytes || !Number.isFinite(createdMs)) return undefined;
    return { kind: 'spans', count, createdMs, bytes: view.subarray(entryHeaderBytes) };
  }
  if (kind !== deliveredKind) return undefined;
  const sequences = Array.from({ length: Math.floor((view.length - 4) / 4) }, (_, i) => view.readUInt32LE(4 + 4 * i));
  return { kind: 'delivered', sequences };
}
