import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../delivery/span-queue.js';
import { encodeOtlpJson } from '../testing/otlp-json-text.js';
import { spanOf } from '../testing/spans.js';
import { JsonWriter } from './json-writer.js';

function written(write: (writer: JsonWriter) => void): string {
  const writer = new JsonWriter();
  write(writer);
  return Buffer.from(writer.finish()).toString('utf8');
}

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ maxLength: 500 }));

describe('JsonWriter', () => {
  it('quotes as JSON.stringify does, and replaces halves of characters', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(written((writer) => writer.quoted(text))).toBe(
          JSON.stringify(text.replace(/\p{Surrogate}/gu, '\ufffd')),
        );
      }),
    );
    for (let code = 0; code < 0x300; code += 1) {
      for (const text of ['', 'abc', 'abcd'].map((before) => `${before}${String.fromCharCode(code)}xyz`)) {
        expect(written((writer) => writer.quoted(text))).toBe(JSON.stringify(text));
      }
    }
    for (const half of ['\ud800', 'abcd\udfff', 'abc\ud83dxyz']) {
      expect(written((writer) => writer.quoted(half))).toBe(JSON.stringify(half.replace(/[\ud800-\udfff]/, '\ufffd')));
    }
  });

  it('writes the digits of sums of 64-bit numbers', () => {
    const second = 1_000_000_000n;
    const edges = [0n, 1n, second - 1n, second, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const number = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      // Next to whole seconds a quotient of doubles is most likely to be off by one.
      fc
        .tuple(fc.bigInt({ min: 1n, max: 18_000_000_000n }), fc.bigInt({ min: -2n, max: 2n }))
        .map(([a, b]) => a * second + b),
      fc.constantFrom(...edges),
    );
    fc.assert(
      fc.property(number, number, (value, more) => {
        expect(written((writer) => writer.sum(value, more))).toBe(String(value + more));
      }),
      { numRuns: 2_000 },
    );
  });

  it('writes numbers as JavaScript does', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double()), (value) => {
        expect(written((writer) => writer.number(value))).toBe(String(value));
      }),
    );
  });

  it('writes ready texts of any length, in any characters, until they are forgotten', () => {
    const writer = new JsonWriter();
    const first = writer.addText('first');
    const kept = writer.readyBytes;
    const texts = ['', 'a', 'äöü', '日本語 🦀', '\u007f\u00ff'.repeat(9), 'x'.repeat(40_000)];
    for (const text of texts) {
      const ready = writer.addText(text);
      if (first === undefined || ready === undefined) throw new Error('There is room for them.');
      writer.ready(first);
      writer.ready(ready);
      expect(Buffer.from(writer.finish()).toString('utf8')).toBe(`first${text}`);
    }
    while (writer.addText('y'.repeat(10_000)) !== undefined);
    expect(writer.readyBytes).toBeLessThanOrEqual(1_048_576);
    writer.forgetTexts(kept);
    expect(writer.addText('z'.repeat(10_000))).toBeDefined();
  });
});

describe('otlpJsonBytes', () => {
  it('writes names and values made from data as they are, however many there were', () => {
    const attributesOf = (i: number): Record<string, string | number | boolean> => ({
      service: 'web',
      [`name-${i}`]: `värde-${i}`,
      'user.id': `user-${i}`,
      count: i,
      even: i % 2 === 0,
      share: i / 7,
      [`${'long'.repeat(30)}-${i}`]: 'x'.repeat(120),
    });
    for (let round = 0; round < 2; round += 1) {
      const spans = Array.from({ length: 1_500 }, (_, i) => spanOf({ id: `${i}`, attributes: attributesOf(i) }));
      const { resourceSpans } = JSON.parse(encodeOtlpJson(batchOf(spans)));
      const read: { attributes: { key: string; value: Record<string, unknown> }[] }[] =
        resourceSpans[0].scopeSpans[0].spans;
      read.forEach(({ attributes }, i) => {
        const values = attributes.map(({ key, value }) => {
          const [[type, given] = []] = Object.entries(value);
          return [key, type === 'intValue' ? Number(given) : given];
        });
        expect(Object.fromEntries(values)).toEqual(attributesOf(i));
      });
    }
  });
});
