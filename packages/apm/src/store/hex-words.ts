/** Values of the lower-case hexadecimal digits by character code; -1 for any other character. */
const digitValues = Int8Array.from({ length: 103 }, (_, code) => {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 ? code - 87 : -1;
});

/**
 * Writes an id as words of 32 bits, because ids as texts are two objects more per span to move through the garbage
 * collector.
 *
 * @returns False when the text is not `count` times eight lower-case hexadecimal digits; some words may be written then.
 */
export function writeWords(text: string, words: Uint32Array, from: number, count: number): boolean {
  if (typeof text !== 'string' || text.length !== count * 8) return false;
  let position = 0;
  // Negative as soon as any digit is.
  let all = 0;
  for (let i = from; i < from + count; i += 1) {
    let word = 0;
    for (const end = position + 8; position < end; position += 1) {
      const code = text.charCodeAt(position);
      const value = code < 103 ? (digitValues[code] as number) : -1;
      all |= value;
      word = (word << 4) | value;
    }
    words[i] = word;
  }
  return all >= 0;
}

/** The text that `writeWords` read. */
export function readWords(words: Uint32Array, from: number, count: number): string {
  let text = '';
  for (let i = from; i < from + count; i += 1) text += (words[i] as number).toString(16).padStart(8, '0');
  return text;
}
