import type { BlobType } from './blob-index.js';
import { type Envelope, envelopeOverhead } from './envelope.js';

/** One blob as a pack's header lists it. */
export interface PackedBlob {
  readonly type: BlobType;
  /** SHA-256 of the plain bytes. */
  readonly id: Buffer;
  readonly offset: number;
  /** Stored bytes, envelope included. */
  readonly length: number;
  /** Bytes before compression; 0 when stored as they are. */
  readonly rawLength: number;
}

/** The plain header: one entry of 37 or 41 bytes per blob, in the order of the blobs. */
export function encodePackHeader(blobs: readonly PackedBlob[]): Buffer {
  return Buffer.concat(
    blobs.map(({ type, id, length, rawLength }) => {
      const compressed = rawLength > 0;
      const entry = Buffer.alloc(compressed ? 41 : 37);
      entry[0] = (type === 'tree' ? 1 : 0) + (compressed ? 2 : 0);
      entry.writeUInt32LE(length, 1);
      if (compressed) entry.writeUInt32LE(rawLength, 5);
      id.copy(entry, compressed ? 9 : 5);
      return entry;
    }),
  );
}

/** The blobs that a plain header lists, or `undefined` when it is not well formed or does not fit the bytes before it. */
export function decodePackHeader(header: Buffer, blobBytes: number): PackedBlob[] | undefined {
  const blobs: PackedBlob[] = [];
  let position = 0;
  let offset = 0;
  while (position < header.length) {
    const kind = header[position] ?? 255;
    const size = kind > 1 ? 41 : 37;
    if (kind > 3 || position + size > header.length) return undefined;
    const length = header.readUInt32LE(position + 1);
    const rawLength = kind > 1 ? header.readUInt32LE(position + 5) : 0;
    const id = Buffer.from(header.subarray(position + size - 32, position + size));
    blobs.push({ type: kind % 2 === 1 ? 'tree' : 'data', id, offset, length, rawLength });
    offset += length;
    position += size;
  }
  return offset === blobBytes ? blobs : undefined;
}

/**
 * Reads the list of blobs from a pack's end.
 *
 * @param read - Bytes of the pack: fewer than asked when it is too short.
 */
export function readPackHeader(
  sizeBytes: number,
  read: (offset: number, length: number) => Buffer,
  envelope: Envelope,
): PackedBlob[] | undefined {
  if (sizeBytes < 4 + envelopeOverhead) return undefined;
  const lengthField = read(sizeBytes - 4, 4);
  if (lengthField.length !== 4) return undefined;
  const headerBytes = lengthField.readUInt32LE(0);
  const blobBytes = sizeBytes - 4 - headerBytes;
  if (headerBytes < envelopeOverhead || blobBytes < 0) return undefined;
  const header = envelope.open(read(blobBytes, headerBytes));
  return header === undefined ? undefined : decodePackHeader(header, blobBytes);
}
