/**
 * The fields of a JSON object at its top level, each with its value as it is written, so that nothing is lost that a
 * JavaScript number cannot hold. `undefined` when the bytes are no JSON object.
 */
export function fieldsOf(bytes: Uint8Array): ReadonlyMap<string, string> | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  } catch {
    return undefined;
  }
  // It is valid JSON from here on, so that ends of texts and levels are all that must be found.
  const fields = new Map<string, string>();
  let at = text.indexOf('{') + 1;
  for (;;) {
    at = skip(text, at, ' \t\n\r,');
    if (text[at] === '}') return fields;
    const nameEnd = endOfText(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const valueStart = skip(text, nameEnd, ' \t\n\r:');
    at = endOfValue(text, valueStart);
    // A name that is given twice has its last value, as in JSON.parse.
    fields.set(name, text.slice(valueStart, at).trimEnd());
  }
}

/** One JSON object with these fields. */
export function objectOf(fields: ReadonlyMap<string, string>): Uint8Array {
  return Buffer.from(`{${[...fields].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`);
}

function skip(text: string, from: number, characters: string): number {
  let at = from;
  while (at < text.length && characters.includes(text.charAt(at))) at += 1;
  return at;
}

/** Behind the closing mark of the text that begins here. */
function endOfText(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** At the `,` or `}` that ends the value which begins here. */
function endOfValue(text: string, from: number): number {
  let at = from;
  let depth = 0;
  for (;;) {
    const character = text[at];
    if (character === '"') {
      at = endOfText(text, at);
      continue;
    }
    if (depth === 0 && (character === ',' || character === '}')) return at;
    if (character === '{' || character === '[') depth += 1;
    if (character === '}' || character === ']') depth -= 1;
    at += 1;
  }
}
