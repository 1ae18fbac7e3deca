import { coreError, MnopsError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { fallback } from './fallback.js';
import { batching } from './fixtures/batching.js';

secretProviderContract({ describe, it }, 'fallback over stores in memory', async () => ({
  provider: fallback([memory(), memory()], { on: ['absent', 'unavailable'] }),
}));
secretProviderContract({ describe, it }, 'fallback over stores that batch', async () => ({
  provider: fallback([batching(memory(), 3), memory()]),
}));

const failing = (
  code: 'MNOPS_CORE_UNAVAILABLE' | 'MNOPS_CORE_ACCESS_DENIED' | 'MNOPS_CORE_THROTTLED',
): SecretProvider => ({
  ...memory(),
  get: () => Promise.reject(coreError(code, 'no')),
  describe: () => Promise.reject(coreError(code, 'no')),
});

async function text(provider: SecretProvider, path: string, at = {}): Promise<string | undefined> {
  const stored = await provider.get(path, at, testCall());
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

function manager(provider: SecretProvider): SecretsManager {
  return new SecretsManager({ provider, cache: false, retry: { maxAttempts: 1 } });
}

describe('fallback', () => {
  it('answers what the first member that has the path answers, for any set of stores', async () => {
    const path = fc.constantFrom('a', 'b', 'c');
    const values = fc.dictionary(path, fc.string(), { maxKeys: 3, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 4 }), path, async (stores, asked) => {
        const provider = fallback(stores.map((each) => memory({ values: each })));
        const expected = stores.find((each) => Object.hasOwn(each, asked))?.[asked];
        expect(await text(provider, asked)).toBe(expected);
        expect((await provider.describe(asked, testCall())) === undefined).toBe(expected === undefined);
      }),
    );
  });

  it('names the list that is missing where the members are given one by one', () => {
    expect(() => fallback(memory() as never, memory() as never)).toThrow(
      /^Invalid options of fallback: members: expected/,
    );
  });

  it('moves on after an outage only where asked, and never after a refusal', async () => {
    const copy = memory({ values: { a: 'copy' } });
    const plain = await text(fallback([failing('MNOPS_CORE_UNAVAILABLE'), copy]), 'a').catch((error: unknown) => error);
    expect(plain).toMatchObject({
      code: 'MNOPS_CORE_UNAVAILABLE',
      details: { member: 'fallback[0] memory' },
    });
    const both = { on: ['absent', 'unavailable'] } as const;
    for (const code of ['MNOPS_CORE_UNAVAILABLE', 'MNOPS_CORE_THROTTLED'] as const) {
      expect(await text(fallback([failing(code), copy], both), 'a')).toBe('copy');
    }
    const refused = text(fallback([failing('MNOPS_CORE_ACCESS_DENIED'), copy], both), 'a');
    await expect(refused).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    const outages = { on: ['unavailable'] } as const;
    expect(await text(fallback([memory(), copy], outages), 'a')).toBeUndefined();
    expect(await text(fallback([failing('MNOPS_CORE_UNAVAILABLE'), copy], outages), 'a')).toBe('copy');
  });

  it('leaves time for the next member when one hangs', async () => {
    const hanging: SecretProvider = {
      ...memory(),
      get: (_path, _at, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    };
    const provider = fallback([hanging, memory({ values: { a: 'copy' } })], { on: ['absent', 'unavailable'] });
    const secrets = manager(provider);
    expect((await secrets.getOrThrow('a', { timeoutMs: 200 })).reveal()).toBe('copy');
    const gone = new AbortController();
    const reading = secrets.get('a', { signal: gone.signal });
    const reason = new Error('gave up');
    gone.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await secrets.stop();
  });

  it('does not show what stands below a deleted secret', async () => {
    const [first, second] = [memory({ values: { a: 'one' } }), memory({ values: { a: 'two' } })];
    await first.delete('a', {}, testCall());
    await expect(text(fallback([first, second]), 'a')).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE',
    });
  });

  it('never mixes versions of two members', async () => {
    const [first, second] = [memory({ values: { a: 'first' } }), memory({ values: { a: 'old' } })];
    await second.put('a', Buffer.from('new'), { token: 'x', stages: ['current'] }, testCall());
    const provider = fallback([first, second]);
    expect(await text(provider, 'a', { version: '1' })).toBe('first');
    expect(await text(provider, 'a', { version: '2' })).toBeUndefined();
    expect(await text(provider, 'a', { stage: 'previous' })).toBeUndefined();
  });

  it('writes to the first member, over what another one has', async () => {
    const [first, second] = [memory(), memory({ values: { a: 'old', b: 'kept' } })];
    const secrets = manager(fallback([first, second]));
    await expect(secrets.create('a', 'x')).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    await expect(secrets.put('a', 'x', { ifVersion: '7' })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    await secrets.update('a', (now) => `${now.reveal()} and new`);
    expect([await text(first, 'a'), await text(second, 'a')]).toEqual(['old and new', 'old']);
    expect((await secrets.getOrThrow('a')).reveal()).toBe('old and new');
    const refusals: Promise<unknown>[] = [
      secrets.delete('b'),
      secrets.setExpiry('b', null),
      secrets.put('b', 'x', { stage: 'pending' }),
    ];
    for (const refusal of refusals) {
      await expect(refusal).rejects.toMatchObject({
        code: 'MNOPS_CORE_UNSUPPORTED',
        details: { member: 'fallback[1] memory' },
      });
    }
    expect(await text(second, 'b')).toBe('kept');
    await secrets.stop();
  });

  it('opens although a member is down whose outage is to be survived', async () => {
    const down: SecretProvider = {
      ...memory(),
      open: () => Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'down')),
    };
    const secrets = manager(fallback([down, memory({ values: { a: 'copy' } })], { on: ['absent', 'unavailable'] }));
    await secrets.start();
    expect((await secrets.getOrThrow('a')).reveal()).toBe('copy');
    await secrets.stop();
    const strict = manager(fallback([down, memory()]));
    await expect(strict.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    await strict.stop();
  });

  it('asks the next member for what is left of a batch', async () => {
    const first = batching(memory({ values: { a: '1', b: '2' } }), 20);
    const second = batching(memory({ values: { b: 'hidden', c: '3', d: '4' } }), 20);
    const secrets = manager(fallback([first, second]));
    const { found, absent } = await secrets.getMany(['a', 'b', 'c', 'd', 'e']);
    expect([...found].map(([path, value]) => `${path}=${value.reveal()}`).sort()).toEqual(['a=1', 'b=2', 'c=3', 'd=4']);
    expect(absent).toEqual(['e']);
    expect([first.batches, second.batches]).toEqual([[['a', 'b', 'c', 'd', 'e']], [['c', 'd', 'e']]]);
    expect([...first.singles, ...second.singles]).toEqual([]);
    await secrets.stop();
  });

  it('lists each path once, from the member that its value comes from', async () => {
    const first = memory({ values: { b: '1' } });
    await first.annotate?.('b', { expiresAtMs: 5 }, testCall());
    const provider = fallback([first, memory({ values: { a: '2', b: '3' } })]);
    const listed: (readonly [string, number | undefined])[] = [];
    for await (const { path, expiresAtMs } of provider.list('', testCall())) listed.push([path, expiresAtMs]);
    expect(listed).toEqual([
      ['a', undefined],
      ['b', 5],
    ]);
  });

  it('refuses members and options that are none, by field', () => {
    const refused = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return MnopsError.is(error) ? (error.details as { issues: { field: string }[] }).issues[0]?.field : error;
      }
    };
    expect(refused(() => fallback([]))).toBe('members');
    expect(refused(() => fallback([memory(), 5 as unknown as SecretProvider]))).toBe('members.1');
    expect(refused(() => fallback([memory()], { on: ['denied'] as unknown as [] }))).toBe('on.0');
    expect(refused(() => fallback([memory()], { when: 1 } as object))).toBe('when');
  });
});
