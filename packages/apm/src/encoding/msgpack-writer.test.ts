import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMsgpack } from '../testing/msgpack.js';
import { MessagePackWriter } from './msgpack-writer.js';

function written(write: (writer: MessagePackWriter) => void): unknown {
  const writer = new MessagePackWriter();
  write(writer);
  expect(writer.bytes()).toHaveLength(writer.length);
  return decodeMsgpack(writer.bytes());
}

describe('MessagePackWriter', () => {
  it('writes texts of every length', () => {
    for (const length of [0, 1, 10, 11, 31, 32, 255, 256, 65_535, 65_536, 100_000]) {
      for (const letter of ['x', 'ж', '☂', '😀']) {
        const text = letter.repeat(length);
        expect(written((writer) => writer.text(text)) === text, `${letter} ${length} times`).toBe(true);
      }
    }
  });

  it('writes any text as the official decoder reads it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        expect(written((writer) => writer.text(text))).toBe(Buffer.from(text).toString());
      }),
    );
  });

  it('writes numbers of 64 bits exactly', () => {
    for (const value of [0n, 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(written((writer) => writer.unsigned64(value))).toBe(value);
    }
    for (const value of [0n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 1_700_000_000_944_999_937n]) {
      expect(written((writer) => writer.signed64(value))).toBe(value);
    }
    for (const value of [0, 0.1, -5e-324, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) {
      expect(written((writer) => writer.float64(value))).toBe(value);
    }
    expect(written((writer) => writer.small(1))).toBe(1);
  });

  it('writes lists and maps of every size', () => {
    for (const size of [0, 1, 15, 16, 65_535, 65_536]) {
      const list = written((writer) => {
        writer.list(size);
        for (let i = 0; i < size; i += 1) writer.small(i);
      });
      expect(list).toHaveLength(size);
      const map = written((writer) => {
        writer.map(size);
        for (let i = 0; i < size; i += 1) {
          writer.text(`key ${i}`);
          writer.small(1);
        }
      });
      expect(Object.keys(map as object)).toHaveLength(size);
    }
  });
});
