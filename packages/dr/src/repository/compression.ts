import * as zlib from 'node:zlib';
import { decompress } from 'fzstd';

interface NodeZstd {
  zstdCompressSync?(bytes: Uint8Array): Buffer;
  zstdDecompressSync?(bytes: Uint8Array, options: { maxOutputLength: number }): Buffer;
}

const native: NodeZstd = zlib as NodeZstd;
/** Nothing in a repository grows over this: the largest index file that restic writes is 8 MiB. */
const maxUnpackedBytes = 1_073_741_824;

/** Whether this Node can write zstd (from 22.15 and 23.8 on). Without it blobs are stored as they are, which the format allows. */
export function canCompress(): boolean {
  return native.zstdCompressSync !== undefined;
}

/** The compressed bytes, or `undefined` where that is not possible or saves nothing. */
export function compress(bytes: Uint8Array): Buffer | undefined {
  if (native.zstdCompressSync === undefined || bytes.length < 64) return undefined;
  // Content that is compressed or random already is most often so throughout: a look at the beginning is enough.
  if (bytes.length > 65_536 && native.zstdCompressSync(bytes.subarray(0, 4096)).length > 3900) return undefined;
  const packed = native.zstdCompressSync(bytes);
  // A fault of the library or of memory must not become a backup that cannot be read: such bytes are stored as they are.
  if (packed.length >= bytes.length || expand(packed, bytes.length)?.equals(bytes) !== true) return undefined;
  return packed;
}

/**
 * The bytes behind a zstd frame, or `undefined` when it is damaged.
 *
 * @param rawLength - Their number where it is known: another number is damage.
 */
export function expand(bytes: Uint8Array, rawLength?: number): Buffer | undefined {
  try {
    const raw =
      native.zstdDecompressSync === undefined
        ? decompress(bytes, rawLength === undefined ? undefined : new Uint8Array(rawLength))
        : native.zstdDecompressSync(bytes, {
            maxOutputLength: rawLength === undefined ? maxUnpackedBytes : rawLength + 1,
          });
    if (rawLength !== undefined && raw.length !== rawLength) return undefined;
    return Buffer.from(raw.buffer, raw.byteOffset, raw.length);
  } catch {
    return undefined;
  }
}
