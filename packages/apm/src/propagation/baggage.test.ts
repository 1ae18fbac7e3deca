import { defaultTextMapGetter, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { W3CBaggagePropagator } from '@opentelemetry/core';
import { JaegerPropagator } from '@opentelemetry/propagator-jaeger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BaggageItem, baggageText, jaegerBaggage, readBaggage, readJaegerBaggage } from './baggage.js';

const read = (value: unknown): Record<string, string> =>
  Object.fromEntries([...readBaggage(value)].map(([key, { value: text }]) => [key, text]));

/** Well-formed texts: no surrogate alone. */
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !/\p{Surrogate}/u.test(value));
const items = fc.uniqueArray(
  fc.tuple(
    text.filter((key) => key.trim() !== ''),
    fc.record<BaggageItem>({ value: text }),
  ),
  { maxLength: 20, selector: ([key]) => key },
);

describe('baggage', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(items, (given) => {
        expect(new Map(readBaggage(baggageText(given)))).toEqual(new Map(given));
      }),
    );
  });

  it("and OpenTelemetry's own read each other, properties included", () => {
    const theirs = new W3CBaggagePropagator();
    fc.assert(
      fc.property(items, (given) => {
        // Theirs takes no empty values, and loses the one name that sets an object's prototype.
        const sent = given.filter(([key, { value }]) => value !== '' && key !== '__proto__');
        const own = baggageText(sent.map(([key, item]) => [key, { ...item, properties: 'ttl=30;secret' }]));
        const context = theirs.extract(ROOT_CONTEXT, { baggage: own }, defaultTextMapGetter);
        const seen = propagation.getBaggage(context)?.getAllEntries() ?? [];
        expect(new Map(seen.map(([key, { value }]) => [key, value]))).toEqual(
          new Map(sent.map(([key, { value }]) => [key, value])),
        );
        for (const [, { metadata }] of seen) expect(metadata?.toString()).toBe('ttl=30;secret');
        const headers: Record<string, string> = {};
        theirs.inject(context, headers, { set: (carrier, name, value) => Object.assign(carrier, { [name]: value }) });
        expect(read(headers['baggage'] ?? '')).toEqual(
          Object.fromEntries(sent.map(([key, { value }]) => [key, value])),
        );
      }),
    );
  });

  it('reads the examples of the standard', () => {
    expect(read('SomeKey = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2')).toEqual({
      SomeKey: 'SomeValue',
      SomeKey2: 'SomeValue2',
    });
    expect(read('userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false')).toEqual({
      userId: 'Amélie',
      serverNode: 'DF 28',
      isProduction: 'false',
    });
    expect(
      readBaggage('key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue'),
    ).toEqual(
      new Map<string, BaggageItem>([
        ['key1', { value: 'value1', properties: 'property1;property2' }],
        ['key2', { value: 'value2' }],
        ['key3', { value: 'value3', properties: 'propertyKey=propertyValue' }],
      ]),
    );
    expect(read('a=1=2=3,b=')).toEqual({ a: '1=2=3', b: '' });
    expect(read('a=%FF%C3%A9x%')).toEqual({ a: '\ufffdéx%' });
    expect(read(['a=1', 'a=2,c=3'])).toEqual({ a: '2', c: '3' });
  });

  it('keeps its bounds in both directions', () => {
    const many = Array.from({ length: 100 }, (_, i): [string, BaggageItem] => [`k${i}`, { value: 'v' }]);
    expect(baggageText(many).split(',')).toHaveLength(64);
    expect(readBaggage(many.map(([key]) => `${key}=v`).join(',')).size).toBe(64);
    const long = (name: string, length: number): [string, BaggageItem] => [name, { value: 'v'.repeat(length) }];
    const wide = [long('a', 4_094), long('b', 4_095), long('c', 4_093), long('d', 10)];
    expect(baggageText(wide).length).toBe(8_192);
    expect([...readBaggage(baggageText(wide)).keys()]).toEqual(['a', 'c']);
    expect(read(wide.map(([key, { value }]) => `${key}=${value}`).join(','))).not.toHaveProperty('b');
    expect(baggageText([['é', { value: '€'.repeat(1_000) }]])).toBe('');
    expect(readBaggage('a=1,'.repeat(20_000)).size).toBe(0);
  });

  it('sends nothing that could end the header', () => {
    const evil = '\r\nx-admin: 1';
    for (const [key, value] of [
      [evil, 'v'],
      ['k', evil],
      ['k', '\ud800'],
    ] as const) {
      expect(baggageText([[key, { value, properties: evil }]])).toMatch(/^[\x21-\x7e]+$/);
    }
    expect(baggageText([['k', { value: 'v', properties: 'a,b=1' }]])).toBe('k=v');
    expect(jaegerBaggage([[evil, { value: 'v' }]])).toEqual([]);
    expect(jaegerBaggage([['k', { value: evil }]])).toEqual([['uberctx-k', '%0D%0Ax-admin%3A%201']]);
  });

  it('reads and writes the headers of Jaeger, as its own propagator does', () => {
    const theirs = new JaegerPropagator();
    fc.assert(
      fc.property(text, (value) => {
        const headers = Object.fromEntries(jaegerBaggage([['user', { value }]]));
        const seen = propagation.getBaggage(theirs.extract(ROOT_CONTEXT, headers, defaultTextMapGetter));
        expect(seen?.getEntry('user')?.value).toBe(value);
        const context = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ user: { value } }));
        const sent: Record<string, string> = {};
        theirs.inject(context, sent, { set: (carrier, name, to) => Object.assign(carrier, { [name]: to }) });
        expect(readJaegerBaggage(Object.keys(sent), (name) => sent[name]).get('user')?.value).toBe(value);
      }),
    );
    const listed = readJaegerBaggage(['uberctx-', 'uberctx-a', 'x'], (name) =>
      name === 'jaeger-baggage' ? 'b=2, c=3' : 'x,y;z',
    );
    expect(Object.fromEntries([...listed].map(([key, { value }]) => [key, value]))).toEqual({
      a: 'x,y;z',
      b: '2',
      c: '3',
    });
  });

  it('throws at nothing', () => {
    const hostile = fc.oneof(fc.anything(), fc.string({ unit: fc.constantFrom(...'a=,;%C3é_ "') }));
    fc.assert(
      fc.property(hostile, (value) => {
        const found = readBaggage(value);
        baggageText(found);
        readJaegerBaggage(['uberctx-a'], () => value);
        expect(found.size).toBeLessThanOrEqual(64);
      }),
      { numRuns: 2_000 },
    );
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
    expect(read('__proto__=1')).toEqual(Object.fromEntries([['__proto__', '1']]));
  });
});
