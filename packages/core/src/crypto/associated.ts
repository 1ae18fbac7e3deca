import { coreError } from '../errors/core-error.js';

/**
 * Facts that sealed data is bound to: where it belongs, its version, its kind. They are not stored; opening needs the
 * same list. Integers are bound by value, so `1` and `1n` are the same.
 */
export type AssociatedData = readonly (string | Uint8Array | bigint | number)[];

const textPart = 1;
const bytesPart = 2;
const integerPart = 3;

/**
 * The list as bytes that no other list gives: the number of parts, then for each its type, its length and its bytes.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a number that is no safe integer and for text that is not
 * well-formed Unicode, because two such texts could become the same bytes.
 */
export function encodeAssociated(parts: AssociatedData): Buffer {
  const chunks: Buffer[] = [lengthOf(parts.length)];
  for (const [index, part] of parts.entries()) {
    const [type, bytes] = encodePart(part, index);
    chunks.push(Buffer.of(type), lengthOf(bytes.length), bytes);
  }
  return Buffer.concat(chunks);
}

function encodePart(part: AssociatedData[number], index: number): readonly [number, Buffer] {
  if (typeof part === 'string') {
    if (/\p{Surrogate}/u.test(part)) throw refused(index, 'well-formed text');
    return [textPart, Buffer.from(part, 'utf8')];
  }
  if (typeof part === 'bigint' || Number.isSafeInteger(part)) return [integerPart, Buffer.from(String(part), 'latin1')];
  if (typeof part === 'number') throw refused(index, 'a safe integer');
  return [bytesPart, Buffer.from(part.buffer, part.byteOffset, part.byteLength)];
}

function lengthOf(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

function refused(index: number, expected: string): Error {
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Part ${index} of the associated data must be ${expected}.`);
}
