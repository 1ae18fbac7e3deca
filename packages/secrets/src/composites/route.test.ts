import { coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { batching } from './fixtures/batching.js';
import { route } from './route.js';

secretProviderContract({ describe, it }, 'route over stores in memory', async () => ({
  provider: route({ 'contract/a/': memory(), 'contract/': memory(), '': memory() }),
}));
secretProviderContract({ describe, it }, 'route over stores that batch', async () => ({
  provider: route({ 'contract/batch/': batching(memory(), 2), 'contract/': batching(memory(), 20), '': memory() }),
}));

async function text(provider: SecretProvider, path: string): Promise<string | undefined> {
  const stored = await provider.get(path, {}, testCall());
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

describe('route', () => {
  it('takes the longest prefix, whatever the order of the routes', async () => {
    const segment = fc.constantFrom('a', 'b', 'ab', 'prod');
    const prefix = fc.array(segment, { maxLength: 3 }).map((parts) => parts.map((part) => `${part}/`).join(''));
    const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(prefix, { minLength: 1, maxLength: 5 }), path, async (prefixes, asked) => {
        const stores = prefixes.map((each) => [each, memory({ values: { [asked]: each } })] as const);
        const longest = prefixes.filter((each) => asked.startsWith(each)).sort((x, y) => y.length - x.length)[0];
        expect(await text(route(Object.fromEntries(stores)), asked)).toBe(longest);
      }),
    );
  });

  it('lists each path from the store that its reads go to, and no other', async () => {
    const prod = memory({ values: { 'prod/a': '1', 'dev/hidden': '2' } });
    const rest = memory({ values: { 'dev/b': '3', 'prod/hidden': '4', 'prodigy/c': '5' } });
    const secrets = new SecretsManager({ provider: route({ 'prod/': prod, '': rest }) });
    const paths = async (prefix: string): Promise<string[]> => {
      const all: string[] = [];
      for await (const { path } of secrets.list(prefix)) all.push(path);
      return all;
    };
    expect(await paths('')).toEqual(['dev/b', 'prod/a', 'prodigy/c']);
    expect(await paths('prod')).toEqual(['prod/a', 'prodigy/c']);
    expect(await paths('prod/')).toEqual(['prod/a']);
    await secrets.stop();
  });

  it('answers absent for what no route covers, and refuses to write there', async () => {
    const provider = route({ 'prod/': memory() });
    expect(await text(provider, 'dev/a')).toBeUndefined();
    expect(await provider.describe('dev/a', testCall())).toBeUndefined();
    const put = provider.put('dev/a', Buffer.from('x'), { token: 't', stages: ['current'] }, testCall());
    await expect(put).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    await expect(put).rejects.toThrow("'prod/'");
  });

  it('names the route of a failure, and keeps its code', async () => {
    const broken: SecretProvider = {
      ...memory(),
      get: () => Promise.reject(coreError('MNOPS_CORE_THROTTLED', 'slow down', { retryAfterMs: 7 })),
    };
    const error: unknown = await text(route({ 'prod/': broken, '': memory() }), 'prod/a').catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'MNOPS_CORE_THROTTLED',
      retryable: true,
      retryAfterMs: 7,
      provider: 'memory',
      details: { member: "route['prod/'] memory" },
    });
    expect(String(error)).toContain("route['prod/'] memory: slow down");
  });

  it('opens and closes a provider in two places once', async () => {
    const calls: string[] = [];
    const provider: SecretProvider = {
      ...memory({ values: { 'a/x': '1', 'b/x': '2' } }),
      open: async () => void calls.push('open'),
      close: async () => void calls.push('close'),
    };
    const both = route({ 'a/': provider, 'b/': provider });
    expect([await text(both, 'a/x'), await text(both, 'b/x')]).toEqual(['1', '2']);
    await both.open?.(testCall());
    await both.close?.(testCall());
    expect(calls).toEqual(['open', 'close']);
  });

  it('can write where one member can, and offers no batches, watches or ids that not all have', async () => {
    const plain = memory();
    const { watch: _, ...store } = memory();
    const quiet: SecretProvider = {
      ...store,
      capabilities: { ...store.capabilities, write: false, watch: 'none', versionIds: 'token', emptyValue: false },
    };
    const { capabilities, ...provider } = route({ 'a/': quiet, '': plain });
    expect(capabilities).toMatchObject({ write: true, watch: 'none', versionIds: 'token', batchGet: 0 });
    expect(capabilities.emptyValue).toBe(true);
    expect([provider.watch, provider.getMany, provider.issue]).toEqual([undefined, undefined, undefined]);
  });

  it('hands leases to the member that issued them', async () => {
    const ended: string[] = [];
    const leasing = (name: string): SecretProvider => {
      const store = memory();
      return {
        ...store,
        capabilities: { ...store.capabilities, leases: true },
        issue: async () => ({ value: Buffer.from(name), leaseId: '0:same', ttlMs: 1_000, renewable: true }),
        renew: async () => ({ ttlMs: 5 }),
        revoke: async (leaseId) => void ended.push(`${name} ${leaseId}`),
      };
    };
    const provider = route({ 'a/': leasing('a'), 'b/': leasing('b'), '': memory() });
    const issued = await provider.issue?.('b/x', undefined, testCall());
    await provider.revoke?.(issued?.leaseId ?? '', testCall());
    expect(ended).toEqual(['b 0:same']);
    await expect(provider.issue?.('c', undefined, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNSUPPORTED',
    });
  });

  it('refuses prefixes that would match half a segment, by name', () => {
    for (const prefix of ['prod', '/prod/', '/']) {
      expect(() => route({ [prefix]: memory() })).toThrow(
        expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }),
      );
    }
    expect(() => route({})).toThrow('at least one');
    expect(() => route({ '/': memory() })).toThrow("Write it as `''`");
    expect(() => route({ '/prod/': memory() })).toThrow('Write it as `prod/`');
  });

  it('refuses prefixes that no path begins with, whose secrets would go behind another route', () => {
    const decomposed = 'gescha\u0308ft/';
    expect(() => route({ [decomposed]: memory(), '': memory() })).toThrow(
      `Write it as \`${decomposed.normalize('NFC')}\``,
    );
    for (const prefix of ['a//', 'a/../', 'a/*/', 'a/+/', ' a/', 'a\0/'])
      expect(() => route({ [prefix]: memory(), '': memory() })).toThrow('normal form');
    expect(() => route({ 'shop/': memory(), 'shop/prod/': memory(), '': memory() })).not.toThrow();
  });

  it('takes only providers', () => {
    expect(() => route({ '': {} as SecretProvider })).toThrow('secret-provider');
  });
});
