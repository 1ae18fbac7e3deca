import type { FormatProblem, ParsedText } from './dotenv.js';

const bytesKey = '$base64';

/** Reads a JSON object with a value per path. */
export function parseJsonDocument(text: string): ParsedText {
  let data: unknown;
  try {
    data = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    // Node's message quotes the text; only the position in it is taken over.
    const position = Number(/at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? text.length);
    return problem({ line: text.slice(0, position).split('\n').length, expected: 'valid JSON' });
  }
  return fromData(data);
}

/** Reads a YAML mapping with a value per path. */
export async function parseYamlDocument(text: string): Promise<ParsedText> {
  // 55 ms to load: only for those who use the format.
  const { parseDocument } = await import('yaml');
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'error', stringKeys: true });
    const error = document.errors[0] ?? document.warnings[0];
    if (error !== undefined) {
      const line = text.slice(0, error.pos[0]).split('\n').length;
      return problem({ line, expected: `valid YAML (${error.code})` });
    }
    return fromData(document.toJS({ maxAliasCount: 100 }));
  } catch {
    return problem({ line: 1, expected: 'valid YAML with aliases that can be resolved' });
  }
}

/** A JSON document, indented. */
export function writeJsonDocument(values: ReadonlyMap<string, unknown>): string {
  return `${JSON.stringify(toData(values), null, 2)}\n`;
}

/** A YAML document. */
export async function writeYamlDocument(values: ReadonlyMap<string, unknown>): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(toData(values), { lineWidth: 0 });
}

/**
 * What stands in a document for stored bytes. JSON is written as data where reading it again gives the same bytes, other
 * text as text, everything else as `{ "$base64": … }`.
 */
export function toDocumentValue(bytes: Uint8Array, contentType: string | undefined): unknown {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(buffer)) return { [bytesKey]: buffer.toString('base64') };
  if (contentType !== 'application/json') return text;
  try {
    const data: unknown = JSON.parse(text);
    const plain = typeof data === 'object' && data !== null && !(bytesKey in data) && !text.includes('__proto__');
    return plain && JSON.stringify(data) === text ? data : text;
  } catch {
    return text;
  }
}

function fromData(data: unknown): ParsedText {
  if (data === null || data === undefined) return { values: new Map(), problems: [] };
  if (typeof data !== 'object' || Array.isArray(data)) {
    return problem({ line: 1, expected: 'an object with a value for each path' });
  }
  const values = new Map<string, unknown>();
  const problems: FormatProblem[] = [];
  for (const [name, value] of Object.entries(data)) {
    const encoded = typeof value === 'object' && value !== null ? (value as { readonly [bytesKey]?: unknown }) : {};
    if (encoded[bytesKey] === undefined) values.set(name, value);
    else if (typeof encoded[bytesKey] === 'string') values.set(name, Buffer.from(encoded[bytesKey], 'base64'));
    else problems.push({ line: 1, expected: `text in ${bytesKey} of ${name}` });
  }
  return { values, problems };
}

function toData(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const data: Record<string, unknown> = Object.create(null);
  for (const [name, value] of values) data[name] = value;
  return data;
}

function problem(only: FormatProblem): ParsedText {
  return { values: new Map(), problems: [only] };
}
