import { describe, expect, it } from 'vitest';
import { type ChainHead, eventTexts, lineOf, noHash, placeEntry, timeTexts } from './entry.js';
import { eventLineReader } from './event-line.js';

const writer = 'w-0123456789abcdef';
const head: ChainHead = { sequence: 41, hash: noHash };
const event = { actor: 'Zoë', operation: 'read', target: 'a', outcome: 'ok', details: { n: 1 } } as const;

describe('eventLineReader', () => {
  const read = eventLineReader(writer);
  const entry = placeEntry('event', eventTexts('shop').middleOf(event, 1_700_000_000_000), writer, head);
  const line = Buffer.from(lineOf(entry));

  it('gives the place of an event, wherever its line stands, and leaves the bytes as they were', () => {
    const bytes = Buffer.concat([Buffer.from('before\n'), line, Buffer.from('\nbehind')]);
    const copy = Buffer.from(bytes);
    const place = { sequence: 42, previousHash: noHash, hash: entry.head.hash };
    expect(read(bytes, 7, 7 + line.length)).toEqual(place);
    expect(bytes).toEqual(copy);
  });

  it('gives nothing for a line with any bit changed, cut, or of another chain or kind', () => {
    for (let index = 0; index < line.length * 8; index++) {
      const bytes = Buffer.from(line);
      bytes[index >> 3] = (bytes[index >> 3] as number) ^ (1 << (index & 7));
      expect(read(bytes, 0, bytes.length), `bit ${index}`).toBeUndefined();
    }
    for (let length = 0; length < line.length; length++) expect(read(line, 0, length)).toBeUndefined();
    expect(eventLineReader('w-fedcba9876543210')(line, 0, line.length)).toBeUndefined();
    const other = Buffer.from(lineOf(placeEntry('checkpoint', '"at":"x"', writer, head)));
    expect(read(other, 0, other.length)).toBeUndefined();
  });
});

describe('timeTexts', () => {
  it('writes what Date writes', () => {
    const timeOf = timeTexts();
    const start = Date.UTC(2024, 1, 29, 23, 59, 59, 998);
    for (const atMs of [
      0,
      1,
      999,
      1_000,
      start,
      start + 1,
      start + 2,
      start + 1_003,
      start,
      start + 0.7,
      -1,
      -86_400_001,
    ]) {
      expect(timeOf(atMs)).toBe(new Date(atMs).toISOString());
    }
  });
});
