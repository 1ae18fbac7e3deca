/** Longer words are cut to this length, when stored and when asked for. */
const longestToken = 64;

const word = /[\p{L}\p{M}\p{N}_]+/gu;
const plainWord = /[a-z0-9_]+/g;
const beyondAscii = /[^\u0000-\u007f]/;

/** The words of a text in lower case: runs of letters, digits and underscores. */
export function tokensOf(text: string): string[] {
  const lower = text.toLowerCase();
  const words = lower.match(beyondAscii.test(lower) ? word : plainWord) ?? [];
  for (let index = 0; index < words.length; index += 1) {
    const each = words[index];
    if (each !== undefined && each.length > longestToken) words[index] = each.slice(0, longestToken);
  }
  return words;
}

/** Calls a function with each text, number and boolean inside a JSON value, as text. */
export function eachText(value: unknown, visit: (text: string) => void): void {
  if (typeof value === 'string') visit(value);
  else if (typeof value === 'number' || typeof value === 'boolean') visit(`${value}`);
  else if (Array.isArray(value)) for (const item of value) eachText(item, visit);
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) eachText(item, visit);
}
