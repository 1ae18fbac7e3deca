import { coreError } from '@mnops/core';
import type { SecretChange, SecretProvider } from '@mnops/core/spi';
import { eventually, fakeClock } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';

/** The same store, without telling of changes. */
function silent(provider: SecretProvider): SecretProvider {
  const { watch: _, ...rest } = provider;
  return { ...rest, capabilities: { ...provider.capabilities, watch: 'none' } };
}

function collect(changes: AsyncIterable<SecretChange>): (string | undefined)[] {
  const seen: (string | undefined)[] = [];
  void (async () => {
    for await (const { path } of changes) seen.push(path);
    seen.push('end');
  })();
  return seen;
}

describe('watch', () => {
  it('tells of changes below the prefix until its signal aborts', async () => {
    const secrets = new SecretsManager({ provider: memory() });
    await secrets.start();
    const end = new AbortController();
    const seen = collect(secrets.watch('db/', { signal: end.signal }));
    await secrets.put('api/key', 'x');
    await secrets.put('db/login', 'x');
    await secrets.delete('db/login');
    await eventually(() => expect(seen).toEqual(['db/login', 'db/login']));
    end.abort();
    await eventually(() => expect(seen.at(-1)).toBe('end'));
    await secrets.stop();
  });

  it('ends with the manager, and shows an actor only what it may list', async () => {
    const secrets = new SecretsManager({
      provider: memory(),
      access: {
        roles: { all: [{ path: '*', allow: ['*'] }], app: [{ path: 'app/*', allow: ['list'] }] },
        actors: { ops: ['all'], web: ['app'] },
        defaultActor: 'ops',
      },
    });
    await secrets.start();
    const seen = collect(secrets.as('web').watch());
    await secrets.put('db/login', 'x');
    await secrets.put('app/key', 'x');
    await eventually(() => expect(seen).toEqual(['app/key']));
    await secrets.stop();
    await eventually(() => expect(seen).toEqual(['app/key', 'end']));
  });

  it('compares the list where the provider tells of nothing', async () => {
    const clock = fakeClock();
    const provider = silent(memory({ clock }));
    const secrets = new SecretsManager({ provider, clock, cache: { ttlMs: 10_000 } });
    const other = new SecretsManager({ provider, clock });
    await secrets.put('db/a', 'x');
    await secrets.put('db/b', 'x');
    await secrets.get('db/a');
    const seen = collect(secrets.watch('db/'));
    await clock.advance(1);
    await other.put('db/a', 'y');
    await other.delete('db/b', { permanent: true });
    await other.put('db/c', 'z');
    expect(seen).toEqual([]);
    await clock.advance(10_000);
    expect(seen.sort()).toEqual(['db/a', 'db/b', 'db/c']);
    expect((await secrets.getOrThrow('db/a')).reveal()).toBe('y');
    await secrets.stop();
    expect(clock.pending).toBe(0);
    await other.stop();
  });

  it('is refused where it cannot be', async () => {
    const provider = silent(memory());
    const blind = new SecretsManager({
      provider: { ...provider, capabilities: { ...provider.capabilities, list: false } },
    });
    expect(() => blind.watch()).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_UNSUPPORTED' }));
    await blind.stop();
  });

  it('follows again after the provider gave up, and distrusts what it knew', async () => {
    const clock = fakeClock();
    const base = memory();
    let watches = 0;
    const provider: SecretProvider = {
      ...base,
      async *watch(prefix, call) {
        watches += 1;
        if (watches < 3) throw coreError('MNOPS_CORE_UNAVAILABLE', 'The stream broke.');
        yield* base.watch?.(prefix, call) ?? [];
      },
    };
    const secrets = new SecretsManager({ provider, clock, cache: { ttlMs: 3_600_000 } });
    await secrets.start();
    await clock.advance(1);
    expect(secrets.status).toBe('degraded');
    expect((await secrets.health()).reasons.join()).toMatch(/not followed: MNOPS_CORE_UNAVAILABLE/);
    const seen = collect(secrets.watch());
    await clock.advance(5_000);
    expect(watches).toBe(3);
    expect(seen).toContain(undefined);
    await secrets.put('db/login', 'two');
    await clock.advance(1);
    expect(seen.at(-1)).toBe('db/login');
    expect(secrets.status).toBe('ready');
    await secrets.stop();
    expect(clock.pending).toBe(0);
  });
});
