import { coreError } from '../errors/core-error.js';

const deepest = 64;

/**
 * The one text for a JSON value, for hashes and signatures: no blanks, keys sorted by their UTF-16 code units, numbers
 * and strings as JavaScript writes them (RFC 8785). A property that is `undefined` is left out.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for what JSON cannot carry: NaN, infinity, bigint, function, class
 * instances such as `Date`, a cycle or more than 64 levels. The message names the place, not the value.
 */
export function canonicalJson(value: unknown): string {
  return write(value, '', 0);
}

function write(value: unknown, at: string, depth: number): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(at, 'a finite number');
    return JSON.stringify(value);
  }
  if (typeof value !== 'object') throw refused(at, 'a JSON value');
  if (depth >= deepest) throw refused(at, `at most ${deepest} levels`);
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => write(item, `${at}[${index}]`, depth + 1)).join(',')}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw refused(at, 'a plain object');
  const source = value as Readonly<Record<string, unknown>>;
  let text = '';
  for (const key of Object.keys(source).sort()) {
    const member = source[key];
    if (member === undefined) continue;
    if (text !== '') text += ',';
    text += `${JSON.stringify(key)}:${write(member, `${at}.${key}`, depth + 1)}`;
  }
  return `{${text}}`;
}

function refused(at: string, expected: string): Error {
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Not JSON: ${at === '' ? 'the value' : at} must be ${expected}.`);
}
