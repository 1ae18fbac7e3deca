import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValue, encodeValue } from './value-codec.js';
import { wirePath } from './wire-path.js';

/** What Vault gives back: the same fields, sorted by name, because it keeps no order. */
function throughVault(data: Readonly<Record<string, string>>): Record<string, unknown> {
  const sorted = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.parse(JSON.stringify(Object.fromEntries(sorted))) as Record<string, unknown>;
}

function roundTrip(bytes: Uint8Array, contentType?: string): Buffer {
  const { data, order } = encodeValue(bytes, contentType);
  return Buffer.from(decodeValue(throughVault(data), order).value);
}

describe('values as fields', () => {
  it('come back byte for byte, whatever they are and whatever they are called', () => {
    const type = fc.constantFrom(undefined, 'application/json', 'application/json; charset=utf-8', 'text/plain');
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.dictionary(fc.string(), fc.string()).map((map) => JSON.stringify(map)),
      fc.dictionary(fc.stringMatching(/^[0-9a-c]{1,2}$/), fc.string()).map((map) => JSON.stringify(map)),
    );
    const values = fc.oneof(
      texts.map((text) => Buffer.from(text)),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(values, type, (bytes, contentType) => roundTrip(bytes, contentType).equals(bytes)),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['{"user":"app","password":"p4ss"}', { user: 'app', password: 'p4ss' }],
    ['{"b":"1","a":"2","10":"x"}', { value: '{"b":"1","a":"2","10":"x"}' }],
    ['{"a":"1", "b":"2"}', { value: '{"a":"1", "b":"2"}' }],
    ['{"a":"1","a":"2"}', { value: '{"a":"1","a":"2"}' }],
    ['{"a":1}', { value: '{"a":1}' }],
    ['{"value":"x"}', { value: '{"value":"x"}' }],
    ['{"__proto__":"x"}', { value: '{"__proto__":"x"}' }],
    ['{}', { value: '{}' }],
    ['["a"]', { value: '["a"]' }],
  ])('stores data %s so that other tools see its fields where they hold all of it', (text, data) => {
    expect(encodeValue(Buffer.from(text), 'application/json').data).toEqual(data);
    expect(roundTrip(Buffer.from(text), 'application/json').toString()).toBe(text);
  });

  it('leaves text alone, also text that looks like data', () => {
    const text = '{"user":"app","password":"p4ss"}';
    for (const contentType of [undefined, 'text/plain; charset=utf-8', 'application/jsonlines']) {
      expect(encodeValue(Buffer.from(text), contentType)).toEqual({ data: { value: text } });
    }
  });

  it('keeps bytes that are no text as base64', () => {
    expect(encodeValue(Buffer.from([0xff, 0]), 'application/json')).toEqual({ data: { base64: '/wA=' } });
  });

  it('reads what other tools wrote as a JSON object, sorted', () => {
    const read = decodeValue({ port: 5432, nested: { a: [1] }, host: 'db' }, undefined);
    expect(Buffer.from(read.value).toString()).toBe('{"host":"db","nested":{"a":[1]},"port":5432}');
    expect(read.contentType).toBe('application/json');
    const odd = decodeValue({ base64: 'not base64!' }, undefined);
    expect(Buffer.from(odd.value).toString()).toBe('{"base64":"not base64!"}');
  });

  it('takes an order that does not fit for none', () => {
    for (const order of ['0', '0.0', '5.1', 'x.y', '']) {
      expect(Buffer.from(decodeValue({ b: '1', a: '2' }, order).value).toString()).toBe('{"a":"2","b":"1"}');
    }
  });
});

describe('paths on the wire', () => {
  const segment = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !text.includes('/') && !text.includes('..') && text !== '.' && !/\p{Surrogate}/u.test(text));
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));

  it('are never shared by two paths, and are in normal form', () => {
    fc.assert(
      fc.property(path, path, (one, two) => {
        const wire = wirePath(one);
        expect(wire.split('/').map(decodeURIComponent).join('/')).toBe(one);
        expect(new URL(`http://vault/v1/${wire}`).href).toBe(`http://vault/v1/${wire}`);
        if (one !== two) expect(wire).not.toBe(wirePath(two));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['a/../b', '..', 'a..b', 'a//b', ''])('refuse %j before anything is sent', (bad) => {
    expect(() => wirePath(bad)).toThrow(expect.objectContaining({ code: 'MNOPS_SECRETS_PATH_INVALID' }));
  });
});
