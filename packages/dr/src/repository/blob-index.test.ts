import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobIndex } from './blob-index.js';
import { decodeIndex, encodeIndex } from './index-file.js';
import { decodePackHeader, encodePackHeader, type PackedBlob } from './pack-header.js';

const idOf = (text: string): Buffer => createHash('sha256').update(text).digest();

describe('BlobIndex', () => {
  it('finds what was entered and nothing else, also many entries and several places of one blob', () => {
    const index = new BlobIndex();
    for (let number = 0; number < 5_000; number++) {
      index.add('data', idOf(`${number}`), { pack: number % 7, offset: number, length: 40, rawLength: 0 });
    }
    index.add('data', idOf('77'), { pack: 100, offset: 5, length: 40, rawLength: 9 });
    expect(index.count).toBe(5_001);
    for (let number = 0; number < 5_000; number++) {
      const places = index.locations('data', idOf(`${number}`));
      expect(places[0]).toEqual({ pack: number % 7, offset: number, length: 40, rawLength: 0 });
      expect(places.length).toBe(number === 77 ? 2 : 1);
    }
    expect(index.has('tree', idOf('1'))).toBe(false);
    expect(index.has('data', idOf('absent'))).toBe(false);
    expect(index.has('data', idOf('77'), (pack) => pack === 100)).toBe(true);
    expect(index.has('data', idOf('78'), (pack) => pack === 100)).toBe(false);
    expect([...index.entries()].length).toBe(5_001);
  });
});

const blobs = fc.array(
  fc.record({
    type: fc.constantFrom('data' as const, 'tree' as const),
    id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    length: fc.nat(2 ** 32 - 1),
    rawLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
  }),
  { maxLength: 20 },
);

function laidOut(list: readonly Omit<PackedBlob, 'offset'>[]): { readonly packed: PackedBlob[]; readonly end: number } {
  let end = 0;
  const packed = list.map((blob) => {
    const offset = end;
    end += blob.length;
    return { ...blob, offset };
  });
  return { packed, end };
}

describe('pack headers and index files', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(blobs, (list) => {
        const { packed, end } = laidOut(list);
        expect(decodePackHeader(encodePackHeader(packed), end)).toEqual(packed);
        expect(decodePackHeader(encodePackHeader(packed), end + 1)).toBeUndefined();
        const small = packed.filter(({ offset }) => offset <= 2 ** 32 - 1);
        const pack = { id: 'ab'.repeat(32), blobs: small };
        expect(decodeIndex(JSON.parse(encodeIndex([pack])))).toEqual([pack]);
      }),
    );
  });

  it('are refused when they are not well formed, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodePackHeader(Buffer.from(bytes), 10)));
    fc.assert(fc.property(fc.jsonValue(), (value) => void decodeIndex(value)));
    expect(decodeIndex({ packs: [{ id: 'short', blobs: [] }] })).toBeUndefined();
  });
});
