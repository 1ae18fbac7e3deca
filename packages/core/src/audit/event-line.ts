import { hash } from 'node:crypto';
import { entryStart, hashMember, hashTailLength } from './entry.js';

const linkMember = ',"previousHash":"';
const braceByte = '}'.charCodeAt(0);
const commaByte = ','.charCodeAt(0);
const zeroByte = '0'.charCodeAt(0);

/** Where an event stands, as its line says. */
export interface EventPlace {
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
}

/**
 * Reads the places of events of one chain from bytes, without making objects of the rest. What it gives has the form
 * that a writer gives every event, and matches its hash; any other line is `undefined`, for a reader that looks closely.
 *
 * @param writer - Whose chain it is.
 * @returns A function of the bytes of a file and the borders of one line in them.
 */
export function eventLineReader(writer: string): (bytes: Buffer, from: number, to: number) => EventPlace | undefined {
  const start = Buffer.from(entryStart('event', writer), 'utf8');
  const shortest = start.length + linkMember.length + 64 + '"'.length + hashTailLength;
  return (bytes, from, to) => {
    if (to - from < shortest || bytes.compare(start, 0, start.length, from, from + start.length) !== 0)
      return undefined;
    const sequence = numberAt(bytes, from + start.length);
    if (sequence === undefined) return undefined;
    const tail = to - hashTailLength;
    const link = tail - 1 - 64 - linkMember.length;
    const ends = bytes.toString('latin1', link, to);
    if (!ends.startsWith(linkMember) || !ends.endsWith('"}')) return undefined;
    if (!ends.startsWith(`"${hashMember}`, linkMember.length + 64)) return undefined;
    const digest = bodyHash(bytes, from, tail);
    if (!ends.startsWith(digest, ends.length - 66)) return undefined;
    return { sequence, previousHash: ends.slice(linkMember.length, linkMember.length + 64), hash: digest };
  };
}

/** SHA-256 of the line without `hash`: its text up to there and a brace, which takes the place of the comma meanwhile. */
function bodyHash(bytes: Buffer, from: number, tail: number): string {
  bytes[tail] = braceByte;
  const digest = hash('sha256', bytes.subarray(from, tail + 1), 'hex');
  bytes[tail] = commaByte;
  return digest;
}

/** A whole number that a comma follows. */
function numberAt(bytes: Buffer, at: number): number | undefined {
  let value = 0;
  let end = at;
  for (; end < at + 15; end++) {
    const digit = (bytes[end] as number) - zeroByte;
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  return end > at && bytes[end] === commaByte ? value : undefined;
}
