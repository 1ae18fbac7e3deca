const unsafe = /[\u0000-\u001f"\\\ud800-\udfff]/;

/**
 * A text as a JSON string, equal to `JSON.stringify(text)`: most texts need no escape, and looking is cheaper than
 * escaping.
 */
export function quote(text: string): string {
  const length = text.length;
  // A regular expression has a start-up cost; up to about this length a loop is faster.
  if (length > 48) return unsafe.test(text) ? JSON.stringify(text) : `"${text}"`;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 32 || code === 34 || code === 92 || code >= 0xd800) return JSON.stringify(text);
  }
  return `"${text}"`;
}
