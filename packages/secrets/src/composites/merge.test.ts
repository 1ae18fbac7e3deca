import { coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { batching } from './fixtures/batching.js';
import { fieldsOf, objectOf } from './key-values.js';
import { merge } from './merge.js';

secretProviderContract({ describe, it }, 'merge over stores in memory', async () => {
  const stores = [memory(), memory()] as const;
  return { provider: merge(stores), seed: (path, value) => seed(stores[path.length % 2 === 0 ? 0 : 1], path, value) };
});
secretProviderContract({ describe, it }, 'merge over stores that batch', async () => {
  const store = batching(memory(), 20);
  return { provider: merge([memory(), store]), seed: (path, value) => seed(store, path, value) };
});

async function seed(store: SecretProvider, path: string, value: string): Promise<void> {
  const token = `${path} ${Math.random()}`;
  await store.put(path, Buffer.from(value), { token, stages: ['current'] }, testCall());
}

async function text(provider: SecretProvider, path: string): Promise<string | undefined> {
  const stored = await provider.get(path, {}, testCall());
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

/** Values are not compared: one may have a `toString` of its own that is no function. */
function byName(fields: object): [string, unknown][] {
  return Object.entries(fields).sort(([one], [other]) => (one < other ? -1 : 1));
}

describe('merge', () => {
  it('is what laying plain objects over each other is, for any maps', async () => {
    const map = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.array(map, { minLength: 1, maxLength: 3 }), fc.boolean(), async (maps, blanks) => {
        const stores = maps.map((each) => memory({ values: { a: JSON.stringify(each, null, blanks ? 2 : 0) } }));
        const merged = JSON.parse((await text(merge(stores), 'a')) ?? '');
        const expected = Object.fromEntries(maps.flatMap((each) => Object.entries(each)));
        expect(byName(merged)).toEqual(byName(JSON.parse(JSON.stringify(expected))));
      }),
    );
  });

  it('keeps numbers that JavaScript cannot hold, and every escape', () => {
    const written =
      '{ "id": 12345678901234567890.50 , "a\\"b\\u0041" : "x,}\\\\" ,"nest":{"b":[1,{"c":"]"}]},"__proto__":1}';
    const fields = fieldsOf(Buffer.from(written));
    expect(Object.fromEntries(fields ?? [])).toEqual(
      Object.fromEntries([
        ['id', '12345678901234567890.50'],
        ['a"bA', '"x,}\\\\"'],
        ['nest', '{"b":[1,{"c":"]"}]}'],
        ['__proto__', '1'],
      ]),
    );
    expect(Buffer.from(objectOf(fields ?? new Map())).toString()).toContain('12345678901234567890.50');
    for (const other of ['[]', '"{}"', 'null', '{"a":1', '\uFEFF{}', ''])
      expect(fieldsOf(Buffer.from(other))).toBeUndefined();
    expect(fieldsOf(Buffer.from([0x7b, 0xff, 0x7d]))).toBeUndefined();
    expect(fieldsOf(Buffer.from(' { } '))?.size).toBe(0);
  });

  it('gives a value that one member alone has as it is', async () => {
    const provider = merge([memory({ values: { a: 'no map' } }), memory({ values: { b: '{ "x": 1 }' } })]);
    expect([await text(provider, 'a'), await text(provider, 'b')]).toEqual(['no map', '{ "x": 1 }']);
  });

  it('refuses to lay over what is no map, and shows nothing of it', async () => {
    const provider = merge([memory({ values: { a: '{"x":1}' } }), memory({ values: { a: 'hunter2 {' } })]);
    const error: unknown = await text(provider, 'a').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_SECRETS_VALUE_INVALID', details: { member: 'merge[1] memory' } });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('hunter2');
  });

  it('has another version when any member has, and no version that is gone', async () => {
    const stores = [memory({ values: { a: '{"x":1}' } }), memory(), memory({ values: { a: '{"y":1}' } })] as const;
    const provider = merge(stores);
    const before = await provider.get('a', {}, testCall());
    expect(before?.version).toBe('1+-+1');
    await seed(stores[2], 'a', '{"y":2}');
    expect((await provider.get('a', {}, testCall()))?.version).toBe('1+-+2');
    expect((await provider.describe('a', testCall()))?.version).toBe('1+-+2');
    expect(await provider.get('a', { version: '1+-+1' }, testCall())).toBeUndefined();
    expect(await provider.get('a', { version: '1+-+2', stage: 'current' }, testCall())).toBeDefined();
    expect(await provider.get('a', { stage: 'previous' }, testCall())).toBeUndefined();
  });

  it('ends with the first expiry, and lists every path once', async () => {
    const stores = [memory({ values: { a: '{}', c: '1' } }), memory({ values: { a: '{}', b: '2' } })] as const;
    await stores[0].annotate?.('a', { expiresAtMs: 2_000 }, testCall());
    await stores[1].annotate?.('a', { expiresAtMs: 1_000 }, testCall());
    const provider = merge(stores);
    expect((await provider.get('a', {}, testCall()))?.expiresAtMs).toBe(1_000);
    const listed: unknown[] = [];
    for await (const { path, version, expiresAtMs } of provider.list('', testCall()))
      listed.push([path, version, expiresAtMs]);
    expect(listed).toEqual([
      ['a', '1+1', 1_000],
      ['b', '-+1', undefined],
      ['c', '1+-', undefined],
    ]);
  });

  it('needs every member, and names the one that fails', async () => {
    const down: SecretProvider = {
      ...memory(),
      get: () => Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'down')),
    };
    const provider = merge([batching(memory({ values: { a: '{}' } }), 5), down]);
    const expected = { code: 'MNOPS_CORE_UNAVAILABLE', details: { member: 'merge[1] memory' } };
    await expect(text(provider, 'a')).rejects.toMatchObject(expected);
    const many = await provider.getMany?.(['a', 'b'], testCall());
    expect(many?.failed.get('a')).toMatchObject(expected);
    expect(many?.found.size).toBe(0);
  });
});
