/** Bits per word: with seven probes about one word in 120 is taken for present when it is not. */
const bitsPerToken = 10;
const probes = 7;

/** A Bloom filter over words (Bloom 1970, with the double hashing of Kirsch and Mitzenmacher 2006). */
export function bloomOf(tokens: ReadonlySet<string>): Uint8Array {
  const bytes = new Uint8Array(Math.max(8, Math.ceil((tokens.size * bitsPerToken) / 8)));
  const bits = bytes.length * 8;
  for (const token of tokens) {
    const [first, second] = hashes(token);
    for (let probe = 0; probe < probes; probe += 1) {
      const bit = (first + probe * second) % bits;
      const at = bit >>> 3;
      bytes[at] = (bytes[at] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
}

/** False: the word was never added. True: it may have been. */
export function mayContain(bloom: Uint8Array, token: string): boolean {
  const bits = bloom.length * 8;
  const [first, second] = hashes(token);
  for (let probe = 0; probe < probes; probe += 1) {
    const bit = (first + probe * second) % bits;
    if (((bloom[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** Two 32-bit hashes of a text: FNV-1a, and a multiplicative one with a final mix. */
function hashes(token: string): readonly [number, number] {
  let first = 0x811c9dc5;
  let second = 0x9e3779b9;
  for (let index = 0; index < token.length; index += 1) {
    const code = token.charCodeAt(index);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x85ebca6b) ^ (second >>> 15);
  }
  second = Math.imul(second ^ (second >>> 16), 0xc2b2ae35);
  // An even step could revisit the same few bits.
  return [first >>> 0, ((second ^ (second >>> 13)) | 1) >>> 0];
}
