/** Value of each character that is a lower-case hexadecimal digit, 16 of every other. */
const digits = new Uint8Array(256).fill(16);
for (let digit = 0; digit < 16; digit += 1) digits[digit.toString(16).charCodeAt(0)] = digit;

/**
 * Reads the id of a span as two whole numbers of 32 bits, which cost no memory to keep and compare.
 *
 * Ids of any other form than 16 lower-case hexadecimal digits are mixed into 64 bits; two of them come out alike by
 * chance less often than two random ids are equal.
 *
 * @param into - Receives the high and the low half.
 * @returns False when the text cannot be told from the numbers.
 */
export function readSpanKey(id: string, into: Int32Array): boolean {
  if (id.length !== 16) return mixed(id, into);
  let high = 0;
  let low = 0;
  let seen = 0;
  for (let i = 0; i < 8; i += 1) {
    const left = id.charCodeAt(i);
    const right = id.charCodeAt(i + 8);
    const leftDigit = digits[left & 255] as number;
    const rightDigit = digits[right & 255] as number;
    high = (high << 4) | leftDigit;
    low = (low << 4) | rightDigit;
    seen |= leftDigit | rightDigit | ((left | right) & ~255);
  }
  if (seen >= 16) return mixed(id, into);
  into[0] = high;
  into[1] = low;
  return true;
}

/** The id that two halves were read from. */
export function spanIdOf(high: number, low: number): string {
  return half(high) + half(low);
}

/** The hash of an id under two factors of an index's own: of its 32 bits the first depend on all of the id. */
export function hashOf(high: number, low: number, highFactor: number, lowFactor: number): number {
  const mixed = (Math.imul(high, highFactor) + Math.imul(low, lowFactor)) | 0;
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
}

/** A random factor of a hash, which nobody outside can know. */
export function oddFactor(): number {
  return Math.floor(Math.random() * 0x1_0000_0000) | 1;
}

function mixed(id: string, into: Int32Array): false {
  let high = 0x811c9dc5 ^ id.length;
  let low = 0x9e3779b9;
  for (let i = 0; i < id.length; i += 1) {
    const code = id.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul((low << 5) ^ (low >>> 27) ^ code, 0x85ebca6b);
  }
  into[0] = high;
  into[1] = low;
  return false;
}

function half(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, '0');
}
