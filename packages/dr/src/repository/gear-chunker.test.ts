import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Chunker, defaultChunkSizes, gearChunker } from './gear-chunker.js';

const sizes = { minBytes: 1024, averageBits: 12, maxBytes: 16_384 };

function chunks(chunker: Chunker, bytes: Buffer, stepBytes: number): Buffer[] {
  const found: Buffer[] = [];
  chunker.reset();
  let begin = 0;
  let position = 0;
  while (position < bytes.length) {
    const end = Math.min(position + stepBytes, bytes.length);
    const taken = chunker.take(bytes.subarray(position, end));
    position = taken === -1 ? end : position + taken;
    if (taken !== -1) {
      found.push(bytes.subarray(begin, position));
      begin = position;
    }
  }
  if (begin < bytes.length) found.push(bytes.subarray(begin));
  return found;
}

/** Repeatable bytes without a pattern. */
function noise(length: number, seed = 'a'): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index * 64 < length; index++) {
    parts.push(createHash('sha512').update(`${seed}${index}`).digest());
  }
  return Buffer.concat(parts).subarray(0, length);
}

describe('gearChunker', () => {
  const id = Buffer.alloc(32, 7);

  it('cuts at the same places however the bytes arrive, within the limits', () => {
    const bytes = noise(600_000);
    const whole = chunks(gearChunker(id, sizes), bytes, bytes.length);
    for (const step of [1, 63, 1000, 4097, 131_073]) {
      const parts = chunks(gearChunker(id, sizes), bytes, step);
      expect(parts.map((part) => part.length)).toEqual(whole.map((part) => part.length));
    }
    expect(Buffer.concat(whole).equals(bytes)).toBe(true);
    for (const part of whole.slice(0, -1)) {
      expect(part.length).toBeGreaterThanOrEqual(sizes.minBytes);
      expect(part.length).toBeLessThanOrEqual(sizes.maxBytes);
    }
    const mean = bytes.length / whole.length;
    expect(mean).toBeGreaterThan(2500);
    expect(mean).toBeLessThan(6500);
  });

  it('finds old content again after an insertion', () => {
    const bytes = noise(600_000);
    const changed = Buffer.concat([bytes.subarray(0, 30_000), Buffer.from('inserted'), bytes.subarray(30_000)]);
    const known = new Set(chunks(gearChunker(id, sizes), bytes, 65_536).map((part) => part.toString('latin1')));
    const parts = chunks(gearChunker(id, sizes), changed, 65_536);
    const fresh = parts.filter((part) => !known.has(part.toString('latin1')));
    expect(fresh.length).toBeLessThanOrEqual(3);
  });

  it('cuts at the greatest size where content never asks for a cut, and elsewhere in another repository', () => {
    const zeros = chunks(gearChunker(id, sizes), Buffer.alloc(100_000), 8192);
    expect(new Set(zeros.slice(0, -1).map((part) => part.length)).size).toBe(1);
    const bytes = noise(100_000);
    const other = chunks(gearChunker(randomBytes(32), sizes), bytes, 8192);
    expect(other.map((part) => part.length)).not.toEqual(
      chunks(gearChunker(id, sizes), bytes, 8192).map((part) => part.length),
    );
  });

  it('keeps every chunk at or under 8 MiB by default', () => {
    const parts = chunks(gearChunker(id, defaultChunkSizes), Buffer.alloc(20_000_000), 1_000_000);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(8_388_608);
  });
});
