import { coreError } from '@mnops/core';
import { safeJsonParse } from '@mnops/core/http';

/** A value as a Secret holds it. */
export interface SecretData {
  /** Base64 by key. */
  readonly data: Readonly<Record<string, string>>;
  /** Order of the keys, where the value is a JSON object of texts; absent: the value is whole, under `value`. */
  readonly fields?: readonly string[] | undefined;
}

/** What the server and its tools call one value. */
const wholeKey = 'value';

/**
 * A value as data. A JSON object of texts is stored field by field, as Pods and kubectl expect it, if the same bytes can
 * be made from the fields again; everything else is stored whole.
 */
export function dataOfValue(value: Uint8Array): SecretData {
  const fields = fieldsOf(value);
  if (fields === undefined) return { data: { [wholeKey]: Buffer.from(value).toString('base64') } };
  const data = Object.fromEntries(fields.map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
  return { data, fields: fields.map(([key]) => key) };
}

/** The same bytes as were stored. */
export function valueOfData({ data, fields }: SecretData): Uint8Array {
  if (fields === undefined) return bytesAt(data, wholeKey);
  const texts = fields.map((key): [string, string] => [key, Buffer.from(bytesAt(data, key)).toString('utf8')]);
  return Buffer.from(objectText(texts));
}

/** A Secret that somebody else made, as a JSON object; keys whose bytes are no text are in base64 and named. */
export function foreignValue(data: Readonly<Record<string, string>>): {
  readonly value: Uint8Array;
  readonly contentType: string;
} {
  const binary: string[] = [];
  const texts = Object.keys(data)
    .sort()
    .map((key): [string, string] => {
      const bytes = Buffer.from(bytesAt(data, key));
      const text = bytes.toString('utf8');
      if (Buffer.from(text).equals(bytes)) return [key, text];
      binary.push(key);
      return [key, bytes.toString('base64')];
    });
  const contentType = binary.length === 0 ? 'application/json' : `application/json; base64="${binary.join(',')}"`;
  return { value: Buffer.from(objectText(texts)), contentType };
}

function fieldsOf(value: Uint8Array): readonly [string, string][] | undefined {
  if (value[0] !== 0x7b) return undefined;
  const bytes = Buffer.from(value);
  const text = bytes.toString('utf8');
  let parsed: unknown;
  try {
    parsed = safeJsonParse(text);
  } catch {
    return undefined;
  }
  const fields = Object.entries(parsed as Readonly<Record<string, unknown>>);
  const plain = fields.every((field): field is [string, string] => {
    return (
      typeof field[1] === 'string' &&
      isText(field[1]) &&
      /^[-._a-zA-Z0-9]{1,253}$/.test(field[0]) &&
      !/^\.\.?$|^\.\./.test(field[0])
    );
  });
  if (!plain || fields.length === 0 || (fields as [string, string][]).some(([key]) => key === 'constructor'))
    return undefined;
  return Buffer.from(objectText(fields as [string, string][])).equals(bytes)
    ? (fields as [string, string][])
    : undefined;
}

function objectText(fields: readonly (readonly [string, string])[]): string {
  return `{${fields.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`).join(',')}}`;
}

function bytesAt(data: Readonly<Record<string, string>>, key: string): Uint8Array {
  const text = Object.hasOwn(data, key) ? data[key] : undefined;
  if (typeof text === 'string') return Uint8Array.from(Buffer.from(text, 'base64'));
  throw coreError('MNOPS_CORE_RESPONSE_INVALID', 'kubernetes-secrets: a Secret lacks a key that it was written with.', {
    provider: 'kubernetes-secrets',
    details: { key },
    remedy: 'Somebody changed the Secret beside MNOps: write it again, or roll it back.',
  });
}

/** Text that UTF-8 can carry: half of a surrogate pair would come back as another character. */
function isText(text: string): boolean {
  return Buffer.from(text).toString('utf8') === text;
}
