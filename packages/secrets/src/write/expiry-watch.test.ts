import { coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { eventually, fakeClock, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import type { SecretConfig } from '../secret-config.js';
import { SecretsManager } from '../secrets-manager.js';

const dayMs = 86_400_000;
const open: SecretsManager[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

function setUp(config: SecretConfig = {}) {
  const clock = fakeClock();
  const provider = memory({ clock, values: { plain: 'x' } });
  const told: string[] = [];
  const manager = (more: SecretConfig = {}): SecretsManager => {
    const secrets = new SecretsManager({ provider, clock, cache: false, ...config, ...more });
    secrets.on('expiry:neared', ({ path, version, expiresAt }) =>
      told.push(`${path} ${version} ${(expiresAt.getTime() - clock.now()) / dayMs}`),
    );
    open.push(secrets);
    return secrets;
  };
  const inDays = (days: number): Date => new Date(clock.now() + days * dayMs);
  return { clock, provider, told, manager, inDays };
}

describe('warnings before an expiry', () => {
  it('come seven days before, once for each version and each expiry', async () => {
    const { clock, told, manager, inDays } = setUp();
    const secrets = manager();
    await secrets.put('api/key', 'k1', { expiresAt: inDays(40) });
    await secrets.put('plain', 'y');
    await clock.advance(32.9 * dayMs);
    expect(told).toEqual([]);
    await clock.advance(0.1 * dayMs);
    await eventually(() => told.length === 1);
    expect(told).toEqual(['api/key 1 7']);
    await secrets.get('api/key');
    await clock.advance(dayMs);
    expect(told.length).toBe(1);
    await secrets.setExpiry('api/key', inDays(8));
    await clock.advance(dayMs);
    await eventually(() => told.length === 2);
    expect(told[1]).toBe('api/key 1 7');
    await secrets.put('api/key', 'k2', { expiresAt: inDays(1) });
    await clock.advance(1);
    await eventually(() => told.length === 3);
    expect(told[2]?.startsWith('api/key 2 ')).toBe(true);
    await clock.advance(10 * dayMs);
    expect(told.length).toBe(3);
  });

  it('come for what was only read or listed, and for handles', async () => {
    const { clock, provider, told, manager, inDays } = setUp({ expiry: { checkAtStart: false } });
    for (const path of ['read', 'listed', 'unseen', 'handle']) {
      const put = { token: path, stages: ['current'], expiresAtMs: inDays(3).getTime() };
      await provider.put(path, Buffer.from('x'), put, testCall());
    }
    const secrets = manager({
      access: { roles: { all: [{ path: '*', allow: ['*'] }] }, actors: { a: ['all'] }, defaultActor: 'a' },
    });
    await secrets.start();
    await secrets.get('read');
    await secrets.get('read', { version: '1' });
    for await (const { path } of secrets.list('listed')) expect(path).toBe('listed');
    await secrets.handle('handle').ready();
    await clock.advance(1);
    await eventually(() => told.length === 3);
    expect(told.map((each) => each.split(' ')[0]).sort()).toEqual(['handle', 'listed', 'read']);
  });

  it('come after a restart, from the list of a provider whose data is here', async () => {
    const { clock, provider, told, manager, inDays } = setUp();
    for (const path of ['a', 'gone']) {
      const put = { token: path, stages: ['current'], expiresAtMs: inDays(3).getTime() };
      await provider.put(path, Buffer.from('x'), put, testCall());
    }
    await provider.delete('gone', {}, testCall());
    const secrets = manager();
    await secrets.start();
    await eventually(() => clock.pending > 0);
    await clock.advance(1);
    await eventually(() => told.length === 1);
    expect(told[0]?.startsWith('a 1 ')).toBe(true);
    const listed: unknown[] = [];
    for await (const { actor, operation, path } of secrets.audit.query()) listed.push([actor, operation, path]);
    expect(listed).toContainEqual(['host', 'list', '*']);
  });

  it('ask nobody for a list whose back end is far away, unless told to', async () => {
    const { provider, manager } = setUp();
    let lists = 0;
    const far: SecretProvider = {
      ...provider,
      capabilities: { ...provider.capabilities, durable: true },
      list: (prefix, call) => {
        lists += 1;
        return provider.list(prefix, call);
      },
    };
    await manager({ provider: far, audit: false }).start();
    expect(lists).toBe(0);
    await manager({ provider: far, audit: false, expiry: { checkAtStart: true } }).start();
    await eventually(() => lists === 1);
  });

  it('do not come when another process has stored a new version meanwhile, and do when nobody can tell', async () => {
    const { clock, provider, told, manager, inDays } = setUp({ retry: { maxAttempts: 1 } });
    let down = false;
    const describing: SecretProvider = {
      ...provider,
      describe: (path, call) =>
        down ? Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'down')) : provider.describe(path, call),
    };
    const secrets = manager({ provider: describing });
    await secrets.put('renewed', 'x', { expiresAt: inDays(8) });
    await provider.put('renewed', Buffer.from('y'), { token: 't', stages: ['current'] }, testCall());
    await clock.advance(2 * dayMs);
    await secrets.get('renewed');
    expect(told).toEqual([]);
    await secrets.put('unsure', 'x', { expiresAt: inDays(8) });
    down = true;
    await clock.advance(2 * dayMs);
    await eventually(() => told.length === 1);
    expect(told[0]?.startsWith('unsure 1 ')).toBe(true);
  });

  it('follow a wall clock that is set forward, and end with the manager or the option', async () => {
    const { clock, told, manager, inDays } = setUp();
    const secrets = manager();
    await secrets.put('a', 'x', { expiresAt: inDays(40) });
    clock.jumpWallClock(35 * dayMs);
    await clock.advance(3_600_000);
    await eventually(() => told.length === 1);
    await secrets.put('b', 'x', { expiresAt: inDays(40) });
    await secrets.stop();
    expect(clock.pending).toBe(0);
    const silent = setUp({ expiry: false });
    await silent.manager().put('a', 'x', { expiresAt: silent.inDays(1) });
    await silent.clock.advance(dayMs);
    expect(silent.told).toEqual([]);
  });
});

describe('delete with recoveryDays', () => {
  it('passes them on where the provider takes them, and refuses others by field', async () => {
    const { provider, manager } = setUp();
    const given: unknown[] = [];
    const choosing: SecretProvider = {
      ...provider,
      capabilities: { ...provider.capabilities, recoveryDays: { least: 7, most: 30 } },
      delete: async (path, options, call) => {
        given.push(options.recoveryDays);
        await provider.delete(path, options, call);
      },
    };
    const secrets = manager({ provider: choosing });
    await secrets.delete('plain', { recoveryDays: 7 });
    expect(given).toEqual([7]);
    for (const options of [
      { recoveryDays: 6 },
      { recoveryDays: 31 },
      { recoveryDays: 7.5 },
      { recoveryDays: 7, permanent: true },
    ]) {
      await expect(secrets.delete('plain', options)).rejects.toMatchObject({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [{ field: 'recoveryDays' }] },
      });
    }
    await expect(manager().delete('plain', { recoveryDays: 7 })).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNSUPPORTED',
      details: { field: 'recoveryDays' },
    });
    expect(given).toEqual([7]);
  });
});

describe('emulated abilities', () => {
  it('are all named in the metadata', async () => {
    const { provider, manager } = setUp();
    const capabilities = { ...provider.capabilities, repeatableWrites: 'emulated', tags: 'emulated' } as const;
    const facts = await manager({ provider: { ...provider, capabilities } }).describe('plain');
    expect(facts?.emulated).toEqual(['repeatableWrites', 'tags']);
  });
});
