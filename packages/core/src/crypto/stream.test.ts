import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openStream, type StreamTransform, sealStream } from './stream.js';

const key = randomBytes(32);
const head = 72;
const chunk = 65_536;
const integrity = expect.objectContaining({ code: 'MNOPS_CORE_INTEGRITY' });

async function run(transform: StreamTransform, ...pieces: readonly Uint8Array[]): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const piece of transform(pieces)) out.push(piece);
  return Buffer.concat(out);
}

function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)];
}

describe('sealStream', () => {
  it('is opened to the same bytes, however both are split', async () => {
    const size = fc.oneof(fc.nat(300), fc.constantFrom(chunk - 1, chunk, chunk + 1, 2 * chunk, 150_000));
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.array(fc.nat(90_000), { maxLength: 4 }),
        fc.array(fc.nat(90_000), { maxLength: 4 }),
        async (length, one, two) => {
          const plaintext = randomBytes(length);
          const sealed = await run(sealStream(key, ['a', 1]), ...split(plaintext, one));
          expect(sealed.length).toBe(head + length + 16 * Math.max(1, Math.ceil(length / chunk)));
          expect((await run(openStream(key, ['a', 1]), ...split(sealed, two))).equals(plaintext)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('accepts no flipped bit, no cut, no swap, no repetition, no other key or place', async () => {
    const plaintext = randomBytes(2 * chunk + 10);
    const sealed = await run(sealStream(key, ['a']), plaintext);
    const fails = async (changed: Buffer, transform = openStream(key, ['a'])): Promise<void> => {
      await expect(run(transform, changed)).rejects.toEqual(integrity);
    };
    const at = (number: number): number => head + number * (chunk + 16);
    const positions = [...Array(head).keys(), at(0), at(1) - 1, at(1) + 5, at(2), sealed.length - 1];
    for (const position of positions) {
      const changed = Buffer.from(sealed);
      changed[position] = (changed[position] as number) ^ 0x10;
      await fails(changed);
    }
    for (const length of [0, 5, head, head + 3, at(1), at(1) + 40, at(2), at(2) + 16, sealed.length - 1]) {
      await fails(sealed.subarray(0, length));
    }
    const [first, second, third] = [
      sealed.subarray(head, at(1)),
      sealed.subarray(at(1), at(2)),
      sealed.subarray(at(2)),
    ];
    const start = sealed.subarray(0, head);
    for (const order of [
      [second, first, third],
      [first, first, second, third],
      [first, third],
      [second, third],
      [first, second, third, third],
    ]) {
      await fails(Buffer.concat([start, ...order]));
    }
    await fails(Buffer.concat([sealed, Buffer.of(0)]));
    await fails(sealed, openStream(randomBytes(32), ['a']));
    await fails(sealed, openStream(key, ['b']));
  });

  it('releases its source when the reader stops early', async () => {
    let released = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(chunk);
      } finally {
        released += 1;
      }
    }
    for await (const piece of sealStream(key, [])(source())) {
      if (piece.length > head) break;
    }
    for await (const _ of openStream(key, [])(sealStream(key, [])(source()))) break;
    expect(released).toBe(2);
  });
});
