import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { SecretValue } from '@mnops/core/spi';

/** Takes the values that a manager knows out of text. */
export interface Redactor {
  /** The text with each known value replaced by `[secret <path>]`, also in base64, hexadecimal, URL and JSON form. */
  redact(text: string): string;
  /** The same for a stream of UTF-8; a value that is split over chunks is found too. */
  stream(): Transform;
}

/** How a redactor is made. */
export interface RedactorOptions {
  /** Shortest text that is replaced; shorter values would mask ordinary words. Default 6. */
  readonly minLength?: number | undefined;
}

/** Texts to look for, and the path that each belongs to. */
export interface Needles {
  readonly pattern: RegExp | undefined;
  readonly longest: number;
  readonly paths: ReadonlyMap<string, string>;
}

const maxFieldDepth = 8;

/** Makes a redactor over values that may grow while it is used. */
export function makeRedactor(
  values: Iterable<SecretValue> & { readonly revision: number },
  options: RedactorOptions = {},
): Redactor {
  const { minLength = 6 } = options;
  let revision = -1;
  let needles: Needles = { pattern: undefined, longest: 0, paths: new Map() };

  function current(): Needles {
    if (revision !== values.revision) {
      revision = values.revision;
      needles = needlesOf(values, minLength);
    }
    return needles;
  }

  function replaceAll(text: string, { pattern, paths }: Needles): string {
    return pattern === undefined ? text : text.replace(pattern, (found) => `[secret ${paths.get(found) ?? ''}]`);
  }

  function stream(): Transform {
    const decoder = new StringDecoder('utf8');
    let held = '';
    /** Emits what no further text can change; the rest may be the beginning of a value. */
    const take = (last: boolean): string => {
      const now = current();
      let safe = last ? held.length : Math.max(0, held.length - now.longest + 1);
      for (const match of now.pattern === undefined ? [] : held.matchAll(now.pattern)) {
        if (match.index >= safe) break;
        safe = Math.max(safe, match.index + match[0].length);
      }
      const out = replaceAll(held.slice(0, safe), now);
      held = held.slice(safe);
      return out;
    };
    return new Transform({
      decodeStrings: true,
      transform(chunk: Buffer, _encoding, done) {
        held += decoder.write(chunk);
        done(null, take(false));
      },
      flush(done) {
        held += decoder.end();
        done(null, take(true));
      },
    });
  }

  return { redact: (text) => replaceAll(text, current()), stream };
}

/** Every form in which known values may stand in a text. */
export function needlesOf(values: Iterable<SecretValue>, minLength: number): Needles {
  const paths = new Map<string, string>();
  for (const value of values) {
    for (const text of textsOf(value)) {
      if (text.length >= minLength)
        for (const form of formsOf(text)) if (form.length >= minLength) paths.set(form, value.path);
    }
  }
  const sorted = [...paths.keys()].sort((a, b) => b.length - a.length);
  const pattern = sorted.length === 0 ? undefined : new RegExp(sorted.map(escapeForPattern).join('|'), 'g');
  return { pattern, longest: sorted[0]?.length ?? 0, paths };
}

/** The value as text, each line of it, and each text inside it when it is JSON. */
function textsOf(value: SecretValue): Set<string> {
  const bytes = Buffer.from(value.bytes());
  const text = bytes.toString('latin1') === bytes.toString('utf8') ? bytes.toString('latin1') : bytes.toString('utf8');
  const texts = new Set([text, text.trim()]);
  const lines = text.split(/\r?\n/);
  if (lines.length > 1) for (const line of lines) texts.add(line.trim());
  if (/^\s*[[{"]/.test(text)) {
    try {
      collect(JSON.parse(text), texts, 0);
    } catch {
      // Not JSON: the whole text is enough.
    }
  }
  return texts;
}

function collect(value: unknown, texts: Set<string>, depth: number): void {
  if (depth > maxFieldDepth) return;
  if (typeof value === 'string') texts.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, texts, depth + 1);
  else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) collect(item, texts, depth + 1);
  }
}

function formsOf(text: string): Set<string> {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text).slice(1, -1);
  const forms = new Set([text, json, bytes.toString('hex'), bytes.toString('hex').toUpperCase()]);
  if (!/\p{Surrogate}/u.test(text)) {
    forms.add(encodeURIComponent(text));
    forms.add(new URLSearchParams([['', text]]).toString().slice(1));
  }
  for (const encoding of ['base64', 'base64url'] as const) {
    // Without the padding, and without the last character: it depends on what follows.
    forms.add(bytes.toString(encoding).replace(/=+$/, ''));
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
    forms.add(whole.toString(encoding));
  }
  return forms;
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
