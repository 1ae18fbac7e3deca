import { createHash } from 'node:crypto';

/** Stands for a label value beyond a limit. */
export const overflowValue = '__overflow__';

/** One identity for each label value: absent and undefined are the empty text, lone surrogates become U+FFFD. */
export function normalLabelValue(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return isWellFormed(value) ? value : toWellFormed(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'bigint' ? value.toString() : '';
}

const surrogate = /[\uD800-\uDFFF]/;

function isWellFormed(text: string): boolean {
  // Node 20 has the method, but not the type library this project compiles with.
  return !surrogate.test(text) || (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}

function toWellFormed(text: string): string {
  return (text as unknown as { toWellFormed(): string }).toWellFormed();
}

/** Cuts a value to a number of UTF-8 bytes; a cut value ends in a hash, so that two long values stay two. */
export function limitedLabelValue(value: string, maxBytes: number): string {
  if (value.length * 3 <= maxBytes || Buffer.byteLength(value) <= maxBytes) return value;
  const mark = `~${createHash('sha256').update(value).digest('hex').slice(0, 12)}`;
  const room = Math.max(0, maxBytes - mark.length);
  // Decoding a cut buffer yields U+FFFD for a split character: drop it.
  return (
    Buffer.from(value)
      .subarray(0, room)
      .toString('utf8')
      .replace(/\uFFFD+$/u, '') + mark
  );
}

/** Escapes a label value for both text formats: backslash, double quote and line feed. */
export function escapeLabelValue(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : value;
}

/** `a="x",b="y"` for the labels that are not empty. */
export function labelText(names: readonly string[], values: readonly string[]): string {
  let text = '';
  for (let index = 0; index < names.length; index++) {
    const value = values[index];
    if (value === undefined || value === '') continue;
    text += `${text === '' ? '' : ','}${names[index]}="${escapeLabelValue(value)}"`;
  }
  return text;
}
