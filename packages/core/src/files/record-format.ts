import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Version of the container described in `docs/formats/record-log.md`; the format inside has a version of its own. */
export const containerVersion = 1;
/** One copy of the file header. */
export const headerBytes = 64;
/** Place of the second copy: in another sector than the first. */
export const secondHeaderAt = 512;
/** Place of the first record. */
export const recordsAt: number = secondHeaderAt + headerBytes;
/** What stands before each payload. */
export const recordHeaderBytes = 28;
/** Length of the marker that begins each record: the first half of the file's id. */
export const markerBytes = 8;

/** What a file header says. */
export interface FileHeader {
  readonly magic: string;
  readonly version: number;
  /** Random, 16 bytes. */
  readonly id: Buffer;
  readonly createdMs: number;
}

/** What a record header says. */
export interface RecordHeader {
  readonly length: number;
  readonly sequence: number;
  /** Check value of the header itself, from which that of the payload goes on. */
  readonly seed: number;
  readonly payloadCheck: number;
}

/** A header for a new file. */
export function newHeader(magic: string, version: number): FileHeader {
  return { magic, version, id: randomBytes(16), createdMs: Date.now() };
}

/** Everything before the first record: both copies of the header. */
export function encodePreamble(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(recordsAt);
  const copy = encodeHeader(header);
  copy.copy(bytes, 0);
  copy.copy(bytes, secondHeaderAt);
  return bytes;
}

function encodeHeader(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.write(header.magic, 0, 8, 'latin1');
  bytes.writeUInt16LE(containerVersion, 8);
  bytes.writeUInt16LE(header.version, 10);
  header.id.copy(bytes, 16);
  bytes.writeDoubleLE(header.createdMs, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headerBytes - 4)), headerBytes - 4);
  return bytes;
}

/** The header in 64 bytes, or `undefined` when they are damaged or no header of this container. */
export function decodeHeader(bytes: Buffer): FileHeader | undefined {
  if (bytes.length < headerBytes) return undefined;
  if (crc32(bytes.subarray(0, headerBytes - 4)) !== bytes.readUInt32LE(headerBytes - 4)) return undefined;
  if (bytes.readUInt16LE(8) !== containerVersion) return undefined;
  return {
    magic: bytes.toString('latin1', 0, 8),
    version: bytes.readUInt16LE(10),
    id: Buffer.from(bytes.subarray(16, 32)),
    createdMs: bytes.readDoubleLE(32),
  };
}

/** Writes a record at a place in a buffer that has room for it; returns the place after it. */
export function encodeRecord(target: Buffer, at: number, id: Buffer, sequence: number, payload: Uint8Array): number {
  id.copy(target, at, 0, markerBytes);
  target.writeUInt32LE(payload.length, at + 8);
  target.writeUInt32LE(sequence % 0x1_0000_0000, at + 12);
  target.writeUInt32LE(Math.floor(sequence / 0x1_0000_0000), at + 16);
  const seed = crc32(target.subarray(at, at + 20));
  target.writeUInt32LE(seed, at + 20);
  target.writeUInt32LE(crc32(payload, seed), at + 24);
  target.set(payload, at + recordHeaderBytes);
  return at + recordHeaderBytes + payload.length;
}

/** The record header at a place, or `undefined` when there is none or it is damaged. */
export function decodeRecordHeader(bytes: Buffer, at: number, id: Buffer): RecordHeader | undefined {
  if (bytes.compare(id, 0, markerBytes, at, at + markerBytes) !== 0) return undefined;
  const seed = bytes.readUInt32LE(at + 20);
  if (crc32(bytes.subarray(at, at + 20)) !== seed) return undefined;
  return {
    length: bytes.readUInt32LE(at + 8),
    sequence: bytes.readUInt32LE(at + 12) + bytes.readUInt32LE(at + 16) * 0x1_0000_0000,
    seed,
    payloadCheck: bytes.readUInt32LE(at + 24),
  };
}

/** Whether the bytes after a record header are the payload that it announces. */
export function payloadMatches(header: RecordHeader, payload: Buffer): boolean {
  return crc32(payload, header.seed) === header.payloadCheck;
}
