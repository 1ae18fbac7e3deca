import { coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { batching } from './fixtures/batching.js';
import { mirror } from './mirror.js';

secretProviderContract({ describe, it }, 'mirror over stores in memory', async () => ({
  provider: mirror([memory(), memory()]),
}));
secretProviderContract({ describe, it }, 'mirror over a store that batches', async () => ({
  provider: mirror([batching(memory(), 20), memory()]),
}));

async function text(provider: SecretProvider, path: string): Promise<string | undefined> {
  const stored = await provider.get(path, {}, testCall()).catch(() => undefined);
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

function manager(provider: SecretProvider): SecretsManager {
  return new SecretsManager({ provider, cache: false, retry: { baseDelayMs: 1 } });
}

/** A store whose next writes fail with these codes. */
function faulty(store: SecretProvider): SecretProvider & { readonly faults: Error[]; readonly puts: string[] } {
  const faults: Error[] = [];
  const puts: string[] = [];
  return {
    ...store,
    faults,
    puts,
    async put(path, value, options, call) {
      puts.push(options.token);
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
      return await store.put(path, value, options, call);
    },
  };
}

describe('mirror', () => {
  it('leaves every member with the same current values, whatever is done', async () => {
    const path = fc.constantFrom('a', 'b');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), path, value: fc.string() }),
      fc.record({ kind: fc.constant('pending' as const), path, value: fc.string() }),
      fc.record({
        kind: fc.constantFrom('rollback' as const, 'delete' as const, 'wipe' as const, 'restore' as const),
        path,
      }),
      fc.record({
        kind: fc.constant('expiry' as const),
        path,
        at: fc.date({ min: new Date(4e12), max: new Date(5e12), noInvalidDate: true }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const stores = [memory(), memory(), memory()] as const;
        const secrets = manager(mirror(stores));
        await Promise.all(
          steps.map(async (each) => {
            const done =
              each.kind === 'put'
                ? secrets.put(each.path, each.value)
                : each.kind === 'pending'
                  ? secrets.put(each.path, each.value, { stage: 'pending' })
                  : each.kind === 'expiry'
                    ? secrets.setExpiry(each.path, each.at)
                    : each.kind === 'rollback'
                      ? secrets.rollback(each.path)
                      : each.kind === 'restore'
                        ? secrets.restore(each.path)
                        : secrets.delete(each.path, { permanent: each.kind === 'wipe' });
            await done.catch(() => undefined);
          }),
        );
        for (const each of ['a', 'b']) {
          const seen = await Promise.all(stores.map((store) => text(store, each)));
          expect(new Set(seen).size).toBe(1);
          const expiries = await Promise.all(
            stores.map(async (store) => (await store.get(each, {}, testCall()).catch(() => undefined))?.expiresAtMs),
          );
          expect(new Set(expiries).size).toBe(1);
        }
        await secrets.stop();
      }),
      { numRuns: 60 },
    );
  });

  it('writes nothing anywhere when the first refuses', async () => {
    const [first, second] = [faulty(memory()), faulty(memory())];
    first.faults.push(coreError('MNOPS_CORE_ACCESS_DENIED', 'refused'));
    const secrets = manager(mirror([first, second]));
    await expect(secrets.put('a', 'x')).rejects.toMatchObject({
      code: 'MNOPS_CORE_ACCESS_DENIED',
      details: { member: 'mirror[0] memory' },
    });
    expect(second.puts).toEqual([]);
    await secrets.stop();
  });

  it('names those that failed and those that did not, and tries the rest', async () => {
    const stores = [memory(), faulty(memory()), faulty(memory()), memory()] as const;
    stores[1].faults.push(coreError('MNOPS_CORE_ACCESS_DENIED', 'refused'));
    stores[2].faults.push(coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
    const secrets = manager(mirror(stores));
    const error: unknown = await secrets.put('a', 'x').catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'MNOPS_CORE_ACCESS_DENIED',
      retryable: false,
      details: {
        written: ['mirror[0] memory', 'mirror[3] memory'],
        failed: [
          { member: 'mirror[1] memory', code: 'MNOPS_CORE_ACCESS_DENIED' },
          { member: 'mirror[2] memory', code: 'MNOPS_CORE_UNAVAILABLE' },
        ],
      },
    });
    expect(await Promise.all(stores.map((store) => text(store, 'a')))).toEqual(['x', undefined, undefined, 'x']);
    await secrets.stop();
  });

  it('repeats what an outage interrupted, and stores nothing twice', async () => {
    const [first, second] = [faulty(memory()), faulty(memory())];
    second.faults.push(coreError('MNOPS_CORE_UNAVAILABLE', 'down'), coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
    const secrets = manager(mirror([first, second, memory()]));
    expect((await secrets.put('a', 'x')).version).toBe('1');
    expect([first.puts.length, second.puts.length, new Set(second.puts).size]).toEqual([3, 3, 1]);
    for (const store of [first, second]) {
      const versions: string[] = [];
      for await (const { version } of store.listVersions('a', testCall())) versions.push(version);
      expect(versions).toEqual(['1']);
    }
    await secrets.stop();
  });

  it('copies what the truth has by then, not what was written before', async () => {
    const [first, second] = [memory(), faulty(memory())];
    second.faults.push(coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
    const provider = mirror([first, second]);
    const options = { token: 'one', stages: ['current'] } as const;
    await expect(provider.put('a', Buffer.from('old'), options, testCall())).rejects.toMatchObject({ retryable: true });
    await first.put('a', Buffer.from('by another process'), { token: 'two', stages: ['current'] }, testCall());
    await provider.put('a', Buffer.from('old'), options, testCall());
    expect([await text(first, 'a'), await text(second, 'a')]).toEqual(['by another process', 'by another process']);
  });

  it('follows a rotation: what becomes current is copied', async () => {
    const stores = [memory({ values: { a: 'one' } }), memory()] as const;
    const provider = mirror(stores);
    await provider.put('a', Buffer.from('two'), { token: 'p', stages: ['pending'] }, testCall());
    expect(await text(stores[1], 'a')).toBeUndefined();
    await provider.setStage?.('a', 'current', { from: '1', to: '2' }, testCall());
    expect(await text(stores[1], 'a')).toBe('two');
    await provider.setStage?.('a', 'current', { from: '2', to: '1' }, testCall());
    expect(await text(stores[1], 'a')).toBe('one');
  });

  it('refuses a member that cannot write, by field', () => {
    const store = memory();
    const reading = { ...store, capabilities: { ...store.capabilities, write: false } };
    expect(() => mirror([memory(), reading])).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
    expect(() => mirror([memory(), reading])).toThrow('members.1');
  });
});
