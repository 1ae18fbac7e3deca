/** What Vault keeps of one version: fields of text, and how to put them together again. */
export interface EncodedValue {
  readonly data: Readonly<Record<string, string>>;
  /** Order of the fields, as positions in their sorted list; absent where they are sorted. Vault keeps none. */
  readonly order?: string | undefined;
}

/** A value as it was given, with the content type that its form suggests. */
export interface DecodedValue {
  readonly value: Uint8Array;
  readonly contentType: string;
}

/** Longest recipe for the order of fields that fits beside the other facts of a version. */
const longestOrder = 200;

/**
 * A value as fields. A JSON object of texts that was given as data (content type `application/json`) is stored field by
 * field, as Vault's own tools show it. Everything else is one field: `value` for text, JSON text included, `base64` for
 * bytes that are no UTF-8.
 *
 * Data that would not come back byte for byte from its fields (blanks between, repeated or forbidden names, a single
 * field that is called `value` or `base64`, numbers or objects within) is one field too.
 */
export function encodeValue(bytes: Uint8Array, contentType: string | undefined): EncodedValue {
  const text = textOf(bytes);
  if (text === undefined) return { data: { base64: Buffer.from(bytes).toString('base64') } };
  const fields = isJson(contentType) ? fieldsOf(text) : undefined;
  if (fields === undefined) return { data: { value: text } };
  const names = Object.keys(fields);
  const sorted = [...names].sort();
  const inOrder = names.every((name, index) => name === sorted[index]);
  if (inOrder) return { data: fields };
  const positions = new Map(sorted.map((name, index) => [name, index]));
  const order = names.map((name) => (positions.get(name) ?? 0).toString(36)).join('.');
  return order.length > longestOrder ? { data: { value: text } } : { data: fields, order };
}

/** The value that fields stand for, also of fields that another tool wrote: those become a JSON object, sorted by name. */
export function decodeValue(data: Readonly<Record<string, unknown>>, order: string | undefined): DecodedValue {
  const names = Object.keys(data).sort();
  const only = names.length === 1 ? data[names[0] as string] : undefined;
  if (names[0] === 'value' && typeof only === 'string') {
    return { value: Buffer.from(only, 'utf8'), contentType: 'text/plain; charset=utf-8' };
  }
  if (names[0] === 'base64' && typeof only === 'string') {
    const bytes = Buffer.from(only, 'base64');
    if (bytes.toString('base64') === only) return { value: bytes, contentType: 'application/octet-stream' };
  }
  const ordered = orderedNames(names, order);
  const json = JSON.stringify(Object.fromEntries(ordered.map((name) => [name, data[name]])));
  return { value: Buffer.from(json), contentType: 'application/json' };
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/json\s*(;|$)/i.test(contentType ?? '');
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function fieldsOf(text: string): Record<string, string> | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  const fields = parsed as Record<string, unknown>;
  const names = Object.keys(fields);
  if (names.length === 0 || names.includes('__proto__') || names.includes('')) return undefined;
  if (names.length === 1 && (names[0] === 'value' || names[0] === 'base64')) return undefined;
  if (!names.every((name) => typeof fields[name] === 'string')) return undefined;
  return JSON.stringify(fields) === text ? (fields as Record<string, string>) : undefined;
}

function orderedNames(sorted: readonly string[], order: string | undefined): readonly string[] {
  if (order === undefined) return sorted;
  const positions = order.split('.').map((digit) => Number.parseInt(digit, 36));
  const names = positions.map((position) => sorted[position]).filter((name) => name !== undefined);
  return new Set(names).size === sorted.length && names.length === sorted.length ? names : sorted;
}
