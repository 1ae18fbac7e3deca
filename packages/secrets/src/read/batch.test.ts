import { coreError } from '@mnops/core';
import type { Call, SecretProvider, StoredSecret, StoredSecrets } from '@mnops/core/spi';
import { eventually, fakeClock } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import type { SecretConfig } from '../secret-config.js';
import { SecretsManager } from '../secrets-manager.js';

interface Batching extends SecretProvider {
  readonly singles: string[];
  readonly batches: (readonly string[])[];
  readonly calls: Call[];
  /** Errors of single paths, each used once. */
  readonly failing: Map<string, Error>;
  /** Errors of whole calls, each used once. */
  readonly broken: Error[];
  gate: Promise<void>;
}

/** A store in memory that reads up to 20 at once, and counts. */
function batching(values: Readonly<Record<string, string>>): Batching {
  const { watch: _, ...store } = memory({ values });
  const provider: Batching = {
    ...store,
    capabilities: { ...store.capabilities, watch: 'none', batchGet: 20 },
    singles: [],
    batches: [],
    calls: [],
    failing: new Map(),
    broken: [],
    gate: Promise.resolve(),
    async get(path, at, call) {
      provider.singles.push(path);
      provider.calls.push(call);
      await provider.gate;
      return await store.get(path, at, call);
    },
    async getMany(paths, call) {
      provider.batches.push(paths);
      provider.calls.push(call);
      await provider.gate;
      call.signal.throwIfAborted();
      const fault = provider.broken.shift();
      if (fault !== undefined) throw fault;
      const found = new Map<string, StoredSecret>();
      const failed = new Map<string, Error>();
      const absent: string[] = [];
      for (const path of paths) {
        const error = provider.failing.get(path);
        const stored = await store.get(path, {}, call);
        if (error !== undefined) failed.set(path, error);
        else if (stored === undefined) absent.push(path);
        else found.set(path, stored);
        provider.failing.delete(path);
      }
      return { found, absent, failed } satisfies StoredSecrets;
    },
  };
  return provider;
}

/** A promise that a test resolves. */
function closedGate(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((opened) => {
    resolve = opened;
  });
  return { promise, resolve };
}

const hundred = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`app/${index}`, `value ${index}`]));
const open: SecretsManager[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

function manager(provider: SecretProvider, config: SecretConfig = {}): SecretsManager {
  const secrets = new SecretsManager({ provider, retry: { baseDelayMs: 1 }, ...config });
  open.push(secrets);
  return secrets;
}

describe('reads that begin together', () => {
  it('go in 5 calls of 20 for 10,000 cold reads over 100 paths, and in one for one path', async () => {
    const provider = batching(hundred);
    const secrets = manager(provider);
    const values = await Promise.all(Array.from({ length: 10_000 }, (_, index) => secrets.get(`app/${index % 100}`)));
    expect(values.every((value, index) => value?.reveal() === `value ${index % 100}`)).toBe(true);
    expect(provider.batches.map(({ length }) => length)).toEqual([20, 20, 20, 20, 20]);
    expect(provider.singles).toEqual([]);
    expect(secrets.stats().providerCalls).toBe(5);

    const one = batching(hundred);
    const again = manager(one);
    await Promise.all(Array.from({ length: 10_000 }, () => again.get('app/1')));
    expect([one.singles, one.batches]).toEqual([['app/1'], []]);
  });

  it('fill whole calls from one getMany, and name what is absent', async () => {
    const provider = batching(hundred);
    const { found, absent, failed } = await manager(provider).getMany([...Object.keys(hundred), 'app/none']);
    expect([found.size, absent, failed.size]).toEqual([100, ['app/none'], 0]);
    expect(provider.batches.length + provider.singles.length).toBe(6);
  });

  it('take all paths at once where the provider has no bound, and no more workers than paths', async () => {
    const provider = batching({ a: '1', b: '2' });
    const unbounded = { ...provider, capabilities: { ...provider.capabilities, batchGet: Number.POSITIVE_INFINITY } };
    const secrets = manager(unbounded);
    const { found, absent } = await secrets.getMany(['a', 'b', 'c']);
    expect([...found.keys(), ...absent]).toEqual(['a', 'b', 'c']);
    expect(provider.batches).toEqual([['a', 'b', 'c']]);
  });

  it('share the signal of one getMany without a warning of a leak, and end with it', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const secrets = manager(batching(hundred));
    const controller = new AbortController();
    const { signal } = controller;
    expect((await secrets.getMany(Object.keys(hundred), { signal })).found.size).toBe(100);
    const fresh = secrets.getMany(Object.keys(hundred), { signal, maxAgeMs: 0 });
    setImmediate(() => controller.abort('enough'));
    await expect(fresh).rejects.toBe('enough');
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('refuse one text in place of a list, and what is no list', async () => {
    const secrets = manager(batching({ 'db/login': '1' }));
    for (const paths of ['db/login', undefined, { 0: 'db/login' }] as string[]) {
      await expect(secrets.getMany(paths)).rejects.toMatchObject({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [{ field: 'paths' }] },
      });
    }
  });

  it('keep versions and stages out of the batch', async () => {
    const provider = batching(hundred);
    const secrets = manager(provider);
    await Promise.all([secrets.get('app/1', { version: '1' }), secrets.get('app/2', { stage: 'current' })]);
    expect(provider.batches).toEqual([]);
  });

  it('fail one by one, and only what may pass is asked for again', async () => {
    const provider = batching(hundred);
    provider.failing.set('app/1', coreError('MNOPS_CORE_ACCESS_DENIED', 'refused'));
    provider.failing.set('app/2', coreError('MNOPS_CORE_THROTTLED', 'slow down'));
    const { found, failed } = await manager(provider).getMany(['app/1', 'app/2', 'app/3', 'app/4']);
    expect([...found.keys()].sort()).toEqual(['app/2', 'app/3', 'app/4']);
    expect(failed.get('app/1')).toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    expect([provider.batches.length, provider.singles]).toEqual([1, ['app/2']]);
  });

  it('are repeated as one call when the whole call fails', async () => {
    const provider = batching(hundred);
    provider.broken.push(coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
    const secrets = manager(provider);
    expect((await secrets.getMany(Object.keys(hundred).slice(0, 20))).found.size).toBe(20);
    expect(provider.batches.length).toBe(2);
    expect(secrets.stats()).toMatchObject({ providerCalls: 2, retries: 1 });

    provider.broken.push(coreError('MNOPS_CORE_UNAUTHENTICATED', 'who are you'));
    const { failed } = await secrets.getMany(['app/50', 'app/51']);
    expect([...failed.values()].map(({ code }) => code)).toEqual(Array(2).fill('MNOPS_CORE_UNAUTHENTICATED'));
    expect(provider.batches.length).toBe(3);
  });

  it('give each path its own error when the attempts are used up', async () => {
    const provider = batching(hundred);
    provider.failing.set('app/1', coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
    provider.failing.set('app/2', coreError('MNOPS_CORE_THROTTLED', 'slow down'));
    const secrets = manager(provider, { retry: { maxAttempts: 1 } });
    const { found, failed } = await secrets.getMany(['app/1', 'app/2', 'app/3']);
    expect([...found.keys()]).toEqual(['app/3']);
    expect(failed.get('app/1')).toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    expect(failed.get('app/2')).toMatchObject({ code: 'MNOPS_CORE_THROTTLED' });
  });

  it('go one by one for five minutes where only single reads are allowed', async () => {
    const provider = batching(hundred);
    const clock = fakeClock();
    provider.broken.push(coreError('MNOPS_CORE_ACCESS_DENIED', 'no batches for you'));
    const secrets = manager(provider, { clock, cache: false });
    const read = async (): Promise<number> => (await secrets.getMany(['app/1', 'app/2'])).found.size;
    expect(await read()).toBe(2);
    expect([provider.batches.length, [...provider.singles].sort()]).toEqual([1, ['app/1', 'app/2']]);
    expect(await read()).toBe(2);
    expect(provider.batches.length).toBe(1);
    await clock.advance(300_000);
    expect(await read()).toBe(2);
    expect(provider.batches.length).toBe(2);
  });

  it('treat a path that the answer leaves out as a broken answer', async () => {
    const provider = batching(hundred);
    const secrets = manager({
      ...provider,
      getMany: async () => ({ found: new Map(), absent: [], failed: new Map() }),
    });
    const { failed } = await secrets.getMany(['app/1', 'app/2']);
    expect(failed.get('app/2')).toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID', details: { path: 'app/2' } });
  });

  it('leave alone: one that is aborted rejects at once and the others go on; the last one ends the call', async () => {
    const provider = batching(hundred);
    const gate = closedGate();
    provider.gate = gate.promise;
    const secrets = manager(provider);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = secrets.get('app/1', { signal: one.signal });
    const second = secrets.get('app/2', { signal: two.signal });
    await eventually(() => provider.batches.length === 1);
    const reason = new Error('no longer wanted');
    one.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(provider.calls[0]?.signal.aborted).toBe(false);
    two.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect(provider.calls[0]?.signal.aborted).toBe(true);
    gate.resolve();

    const third = secrets.get('app/3');
    const before = new AbortController();
    const fourth = secrets.get('app/4', { signal: before.signal });
    before.abort(reason);
    await expect(fourth).rejects.toBe(reason);
    expect((await third)?.reveal()).toBe('value 3');
    expect([...provider.batches.flat(), ...provider.singles]).not.toContain('app/4');
  });

  it('end at their own deadlines', async () => {
    const provider = batching(hundred);
    const gate = closedGate();
    provider.gate = gate.promise;
    const secrets = manager(provider);
    const patient = secrets.get('app/1');
    await expect(secrets.get('app/2', { timeoutMs: 20 })).rejects.toMatchObject({ code: 'MNOPS_CORE_TIMEOUT' });
    gate.resolve();
    expect((await patient)?.reveal()).toBe('value 1');
  });

  it('never answer with what was under way before a write', async () => {
    const provider = batching(hundred);
    const secrets = manager(provider);
    const gate = closedGate();
    provider.gate = gate.promise;
    const old = [secrets.get('app/1'), secrets.get('app/2')];
    await eventually(() => provider.batches.length === 1);
    await secrets.put('app/1', 'new');
    const after = secrets.get('app/1');
    gate.resolve();
    await Promise.all(old);
    expect((await after)?.reveal()).toBe('new');
    expect((await secrets.get('app/1'))?.reveal()).toBe('new');
  });
});
