/** Cuts a text to a channel's limit of UTF-8 bytes, at a character; a cut text ends in an ellipsis. */
export function fittingText(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  // Decoding a cut buffer yields U+FFFD for a split character: drop it.
  const kept = Buffer.from(text)
    .subarray(0, Math.max(0, maxBytes - 3))
    .toString('utf8')
    .replace(/\uFFFD+$/u, '');
  return `${kept}…`;
}
