import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What a block says about itself; it stands at its begin and again at its end. */
export interface BlockHeader {
  /** Random, 8 bytes: it marks the chunks of this very block. */
  readonly marker: Buffer;
  readonly chunks: number;
  readonly entries: number;
  readonly firstSequence: number;
  /** Number after the last entry. */
  readonly nextSequence: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly indexOffset: number;
  readonly indexBytes: number;
  readonly fileBytes: number;
}

/** What stands before the body of a chunk. */
export interface ChunkHeader {
  readonly ordinal: number;
  readonly count: number;
  readonly firstSequence: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Largest severity number in it. */
  readonly maxSeverity: number;
  /** Bytes of its entries as lines. */
  readonly rawBytes: number;
  readonly bodyBytes: number;
  readonly bodyCheck: number;
}

/** A chunk as the index knows it. */
export interface IndexedChunk extends ChunkHeader {
  /** Place of the chunk's header. */
  readonly offset: number;
  /** Words in it; absent when the index is damaged. */
  readonly bloom?: Uint8Array | undefined;
}

/** The first eight bytes of a block. */
export const blockMagic = 'MNLOGBLK';
/** The version this code writes and reads. */
export const blockVersion = 1;
/** Bytes of one copy of the header. */
export const blockHeaderBytes = 128;
/** Bytes before the body of a chunk. */
export const chunkHeaderBytes = 72;

/** A marker for a new block. */
export function newMarker(): Buffer {
  return randomBytes(8);
}

/** The header as bytes. */
export function encodeBlockHeader(header: BlockHeader): Buffer {
  const bytes = Buffer.alloc(blockHeaderBytes);
  bytes.write(blockMagic, 0, 'latin1');
  bytes.writeUInt16LE(blockVersion, 8);
  header.marker.copy(bytes, 16);
  bytes.writeUInt32LE(header.chunks, 24);
  bytes.writeUInt32LE(header.entries, 28);
  bytes.writeDoubleLE(header.firstSequence, 32);
  bytes.writeDoubleLE(header.nextSequence, 40);
  bytes.writeDoubleLE(header.minMs, 48);
  bytes.writeDoubleLE(header.maxMs, 56);
  bytes.writeDoubleLE(header.indexOffset, 64);
  bytes.writeDoubleLE(header.indexBytes, 72);
  bytes.writeDoubleLE(header.fileBytes, 80);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, blockHeaderBytes - 4)), blockHeaderBytes - 4);
  return bytes;
}

/** The header in some bytes, or `undefined` when they are damaged or of another kind or version. */
export function decodeBlockHeader(bytes: Buffer): BlockHeader | undefined {
  if (bytes.length < blockHeaderBytes || bytes.toString('latin1', 0, 8) !== blockMagic) return undefined;
  if (crc32(bytes.subarray(0, blockHeaderBytes - 4)) !== bytes.readUInt32LE(blockHeaderBytes - 4)) return undefined;
  if (bytes.readUInt16LE(8) !== blockVersion) return undefined;
  return {
    marker: Buffer.from(bytes.subarray(16, 24)),
    chunks: bytes.readUInt32LE(24),
    entries: bytes.readUInt32LE(28),
    firstSequence: bytes.readDoubleLE(32),
    nextSequence: bytes.readDoubleLE(40),
    minMs: bytes.readDoubleLE(48),
    maxMs: bytes.readDoubleLE(56),
    indexOffset: bytes.readDoubleLE(64),
    indexBytes: bytes.readDoubleLE(72),
    fileBytes: bytes.readDoubleLE(80),
  };
}

/** The header of a chunk as bytes. */
export function encodeChunkHeader(header: ChunkHeader, marker: Buffer): Buffer {
  const bytes = Buffer.alloc(chunkHeaderBytes);
  marker.copy(bytes, 0);
  bytes.writeUInt32LE(header.ordinal, 8);
  bytes.writeUInt32LE(header.count, 12);
  bytes.writeDoubleLE(header.firstSequence, 16);
  bytes.writeDoubleLE(header.minMs, 24);
  bytes.writeDoubleLE(header.maxMs, 32);
  bytes.writeUInt32LE(header.maxSeverity, 40);
  bytes.writeUInt32LE(header.rawBytes, 44);
  bytes.writeUInt32LE(header.bodyBytes, 48);
  bytes.writeUInt32LE(header.bodyCheck, 52);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, chunkHeaderBytes - 4)), chunkHeaderBytes - 4);
  return bytes;
}

/** The chunk header at a place, or `undefined` when there is none or it is damaged. */
export function decodeChunkHeader(bytes: Buffer, at: number, marker: Buffer): ChunkHeader | undefined {
  if (at + chunkHeaderBytes > bytes.length || bytes.compare(marker, 0, 8, at, at + 8) !== 0) return undefined;
  const checked = bytes.subarray(at, at + chunkHeaderBytes - 4);
  if (crc32(checked) !== bytes.readUInt32LE(at + chunkHeaderBytes - 4)) return undefined;
  return {
    ordinal: bytes.readUInt32LE(at + 8),
    count: bytes.readUInt32LE(at + 12),
    firstSequence: bytes.readDoubleLE(at + 16),
    minMs: bytes.readDoubleLE(at + 24),
    maxMs: bytes.readDoubleLE(at + 32),
    maxSeverity: bytes.readUInt32LE(at + 40),
    rawBytes: bytes.readUInt32LE(at + 44),
    bodyBytes: bytes.readUInt32LE(at + 48),
    bodyCheck: bytes.readUInt32LE(at + 52),
  };
}

/** The index: for each chunk its place, its header again and its words; a check value at the end. */
export function encodeIndex(chunks: readonly IndexedChunk[], marker: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (const chunk of chunks) {
    const bloom = chunk.bloom ?? new Uint8Array();
    const place = Buffer.alloc(12);
    place.writeDoubleLE(chunk.offset, 0);
    place.writeUInt32LE(bloom.length, 8);
    parts.push(place, encodeChunkHeader(chunk, marker), Buffer.from(bloom));
  }
  const body = Buffer.concat(parts);
  const check = Buffer.alloc(4);
  check.writeUInt32LE(crc32(body));
  return Buffer.concat([body, check]);
}

/** The chunks that an index lists, or `undefined` when it is damaged. */
export function decodeIndex(bytes: Buffer, marker: Buffer, chunks: number): IndexedChunk[] | undefined {
  const end = bytes.length - 4;
  if (end < 0 || crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  const found: IndexedChunk[] = [];
  let at = 0;
  while (found.length < chunks) {
    const header = decodeChunkHeader(bytes, at + 12, marker);
    if (header === undefined) return undefined;
    const bloomBytes = bytes.readUInt32LE(at + 8);
    const bloomAt = at + 12 + chunkHeaderBytes;
    found.push({
      ...header,
      offset: bytes.readDoubleLE(at),
      bloom: Uint8Array.from(bytes.subarray(bloomAt, bloomAt + bloomBytes)),
    });
    at = bloomAt + bloomBytes;
  }
  return found;
}
