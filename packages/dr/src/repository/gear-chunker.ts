import { hkdfSync } from 'node:crypto';
import { instantiate } from './wasm.js';

/** Cut rules in bytes. Readers of the format take any blob of up to 8 MiB, wherever the cuts are. */
export interface ChunkSizes {
  readonly minBytes: number;
  readonly averageBits: number;
  readonly maxBytes: number;
}

/** 512 KiB, about 1 MiB, 8 MiB: the sizes that restic uses too. */
export const defaultChunkSizes: ChunkSizes = { minBytes: 524_288, averageBits: 20, maxBytes: 8_388_608 };

/** Finds the cuts of one stream of bytes after another. */
export interface Chunker {
  readonly sizes: ChunkSizes;
  /** Forgets the stream; the next byte begins a chunk. */
  reset(): void;
  /**
   * Takes more bytes of the running chunk.
   *
   * @returns How many of them belong to the chunk when it ends among them, else -1: all belong to it and it goes on.
   */
  take(bytes: Uint8Array): number;
}

/** Compiled from `wasm/gear.wat`. */
const moduleBase64 =
  'AGFzbQEAAAABCwJgAABgA39/fgF/AwMCAAEFAwEAAwYGAX4BQgALBxkDBm1lbW9yeQIABXJlc2V0AAAEZmluZAABCk8CBgBCACQAC0YBAX4jAC' +
  'EDAkADQCAAIAFPDQEgA0IBhiAALQAAQQN0KQMAfCEDIABBAWohACADIAKDQgBSDQAgAyQAIAAPCwsgAyQAQX8L';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  reset(): void;
  find(address: number, end: number, mask: bigint): number;
}

const dataAt = 4096;
const windowBytes = 131_072;
/** The hash forgets a byte after 64 more, so that many before the least cut are enough. */
const reach = 64;

/**
 * Makes a content-defined chunker: equal content is cut at equal places, also after bytes were put in before it.
 *
 * Gear hash with normalised cut conditions as in FastCDC (Xia and others, USENIX ATC 2016). The table comes from the
 * repository's identity, which is stored encrypted, so that cut places differ between repositories.
 */
export function gearChunker(repositoryId: Uint8Array, sizes: ChunkSizes = defaultChunkSizes): Chunker {
  const { memory, reset, find } = instantiate<Exports>(moduleBase64);
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(new Uint8Array(hkdfSync('sha256', repositoryId, '', 'mnops dr gear table 1', 2048)), 0);
  const { minBytes, averageBits, maxBytes } = sizes;
  const averageBytes = 2 ** averageBits;
  const strict = highMask(averageBits + 1);
  const loose = highMask(averageBits - 1);
  let length = 0;

  /** Hashes up to the end of a stretch that has one cut condition. */
  function scan(chunk: Uint8Array, from: number, to: number, mask: bigint): number {
    for (let start = from; start < to; start += windowBytes) {
      const end = Math.min(start + windowBytes, to);
      bytes.set(chunk.subarray(start, end), dataAt);
      const found = find(dataAt, dataAt + end - start, mask);
      if (found !== -1) return start + found - dataAt;
    }
    return -1;
  }

  function cut(taken: number): number {
    length = 0;
    reset();
    return taken;
  }

  return {
    sizes,
    reset() {
      cut(0);
    },
    take(chunk) {
      let position = 0;
      /** Position in `chunk` where the running chunk has the given length. */
      const at = (bytesOfChunk: number): number => Math.max(0, Math.min(chunk.length, bytesOfChunk - length));
      position = at(minBytes - reach);
      if (position < at(minBytes)) scan(chunk, position, at(minBytes), 0xffff_ffff_ffff_ffffn);
      for (const [from, to, mask] of [
        [minBytes, averageBytes, strict],
        [averageBytes, maxBytes, loose],
      ] as const) {
        const found = scan(chunk, at(from), at(to), mask);
        if (found !== -1) return cut(found);
      }
      if (length + chunk.length >= maxBytes) return cut(maxBytes - length);
      length += chunk.length;
      return -1;
    },
  };
}

/** The highest bits: they depend on the last 64 bytes, the lowest only on a few. */
function highMask(bits: number): bigint {
  return ((1n << BigInt(bits)) - 1n) << BigInt(64 - bits);
}
