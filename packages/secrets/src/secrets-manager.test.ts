import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { coreError } from '@mnops/core';
import { rawKey } from '@mnops/core/crypto';
import type { SecretProvider } from '@mnops/core/spi';
import { eventually, fakeClock } from '@mnops/core/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { route } from './composites/route.js';
import { encryptedFile } from './providers/encrypted-file/index.js';
import { memory } from './providers/memory/index.js';
import { randomValue } from './rotators/random-value.js';
import type { SecretConfig } from './secret-config.js';
import { SecretsManager } from './secrets-manager.js';

const open: { stop(): Promise<void> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

function manager(config: SecretConfig = {}): SecretsManager {
  const secrets = new SecretsManager({ provider: memory(), ...config });
  open.push(secrets);
  return secrets;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-secrets-'));
  folders.push(folder);
  return folder;
}

/** A store in memory that counts, waits and fails as told. */
function scripted(
  values: Record<string, string> = {},
): SecretProvider & { calls: number; failing: Error | undefined; gate: Promise<void> } {
  const { watch: _, ...store } = memory({ values });
  const provider = {
    ...store,
    capabilities: { ...store.capabilities, watch: 'none' as const },
    calls: 0,
    failing: undefined as Error | undefined,
    gate: Promise.resolve(),
    async get(...parameters: Parameters<SecretProvider['get']>) {
      provider.calls += 1;
      const { failing } = provider;
      await provider.gate;
      if (failing !== undefined) throw failing;
      return await store.get(...parameters);
    },
  };
  return provider;
}

describe('reading', () => {
  it('asks the provider once for 10,000 concurrent cold reads', async () => {
    const provider = scripted({ a: 'x' });
    const secrets = manager({ provider, audit: { reads: 'uncached' } });
    const values = await Promise.all(Array.from({ length: 10_000 }, () => secrets.getOrThrow('a')));
    expect(values.every((value) => value.equals('x'))).toBe(true);
    expect(provider.calls).toBe(1);
  });

  it('never shares an answer between reads that differ in version or stage', async () => {
    const secrets = manager();
    for (const value of ['one', 'two']) await secrets.put('a', value);
    await secrets.put('a', 'three', { stage: 'pending' });
    const answers: Record<string, string | undefined> = {
      '': 'two',
      v1: 'one',
      v2: 'two',
      v3: 'three',
      sprevious: 'one',
      scurrent: 'two',
      spending: 'three',
    };
    const choice = fc.constantFrom(...Object.keys(answers));
    await fc.assert(
      fc.asyncProperty(fc.array(choice, { minLength: 2, maxLength: 4 }), async (choices) => {
        for (const each of choices) {
          const options =
            each === '' ? undefined : each.startsWith('v') ? { version: each.slice(1) } : { stage: each.slice(1) };
          expect((await secrets.get('a', options))?.reveal()).toBe(answers[each]);
        }
      }),
    );
    await expect(secrets.get('\0a\0v1\0-')).rejects.toMatchObject({ code: 'MNOPS_SECRETS_PATH_INVALID' });
  });

  it('serves fresh values without a call, old ones while it refreshes, and asks again with maxAgeMs 0', async () => {
    const clock = fakeClock();
    const provider = scripted({ a: 'x' });
    const secrets = manager({ provider, clock, cache: { ttlMs: 1_000, jitter: 0, staleWhileRevalidateMs: 500 } });
    await secrets.get('a');
    await secrets.get('a');
    expect(provider.calls).toBe(1);
    await secrets.get('a', { maxAgeMs: 0 });
    expect(provider.calls).toBe(2);
    await clock.advance(1_200);
    expect((await secrets.getOrThrow('a')).stale).toBe(false);
    expect(provider.calls, 'the reader goes on before the provider is asked').toBe(2);
    await eventually(() => provider.calls === 3);
    await clock.advance(2_000);
    await secrets.get('a');
    expect(provider.calls).toBe(4);
  });

  it('serves stale values in an outage, with one attempt per back-off step, and nothing once access is denied', async () => {
    const clock = fakeClock();
    const provider = scripted({ a: 'x' });
    const cache = { ttlMs: 1_000, jitter: 0, staleWhileRevalidateMs: 0, staleOnErrorMs: 3_600_000 };
    const secrets = manager({ provider, clock, cache, retry: { maxAttempts: 1 } });
    await secrets.get('a');
    provider.failing = coreError('MNOPS_CORE_UNAVAILABLE', 'down');
    for (let second = 0; second < 3_000; second += 1) {
      await clock.advance(1_000);
      const value = await secrets.getOrThrow('a');
      expect(value.reveal()).toBe('x');
      if (second > 1) expect(value.stale).toBe(true);
    }
    expect(provider.calls).toBeLessThan(120);
    provider.failing = coreError('MNOPS_CORE_ACCESS_DENIED', 'no');
    await clock.advance(61_000);
    await expect(secrets.get('a')).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    provider.failing = coreError('MNOPS_CORE_UNAVAILABLE', 'down');
    await expect(secrets.get('a')).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
  });

  it('remembers absence for a moment, and forgets it with its own write', async () => {
    const provider = scripted();
    const secrets = manager({ provider });
    expect(await secrets.get('a')).toBeUndefined();
    expect(await secrets.get('a')).toBeUndefined();
    expect(provider.calls).toBe(1);
    await secrets.put('a', 'x');
    expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
    await expect(secrets.getOrThrow('b')).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
  });

  it('does not join a read that began before its own write', async () => {
    const provider = scripted({ a: 'old' });
    const secrets = manager({ provider });
    let release: () => void = () => undefined;
    provider.gate = new Promise((resolve) => {
      release = resolve;
    });
    const before = secrets.getOrThrow('a');
    await eventually(() => provider.calls === 1);
    await secrets.put('a', 'new');
    provider.gate = Promise.resolve();
    expect((await secrets.getOrThrow('a')).reveal()).toBe('new');
    release();
    await before;
    expect((await secrets.getOrThrow('a')).reveal()).toBe('new');
  });

  it("leaves the others' read alone when one waiter gives up", async () => {
    const provider = scripted({ a: 'x' });
    const secrets = manager({ provider });
    let release: () => void = () => undefined;
    provider.gate = new Promise((resolve) => {
      release = resolve;
    });
    const controller = new AbortController();
    const one = secrets.get('a', { signal: controller.signal }).catch((error: unknown) => error);
    const other = secrets.getOrThrow('a');
    await eventually(() => provider.calls === 1);
    const reason = new Error('gave up');
    controller.abort(reason);
    expect(await one).toBe(reason);
    await expect(secrets.get('a', { timeoutMs: 5 })).rejects.toMatchObject({ code: 'MNOPS_CORE_TIMEOUT' });
    release();
    expect((await other).reveal()).toBe('x');
  });

  it('reads many, each with its own outcome', async () => {
    const secrets = manager({ provider: memory({ values: { a: '1', b: '2' } }) });
    const { found, absent, failed } = await secrets.getMany(['a', 'b', 'c', 'bad//path', 'a']);
    expect([...found].map(([path, value]) => [path, value.reveal()])).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
    expect(absent).toEqual(['c']);
    expect([...failed.keys()]).toEqual(['bad//path']);
  });

  it('refuses expired values unless asked for', async () => {
    const clock = fakeClock();
    const secrets = manager({ provider: memory({ clock }), clock });
    await secrets.put('a', 'x', { expiresAt: new Date(clock.now() + 1_000) });
    const handle = secrets.handle('a');
    await handle.ready();
    expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
    await clock.advance(1_000);
    await expect(secrets.get('a')).rejects.toMatchObject({ code: 'MNOPS_SECRETS_EXPIRED' });
    expect(() => handle.current).toThrow(/expired/);
    expect((await secrets.getOrThrow('a', { allowExpired: true })).reveal()).toBe('x');
    await secrets.setExpiry('a', null);
    expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
  });

  it('keeps the cache within its bounds', async () => {
    const values = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`p/${index}`, 'x'.repeat(100)]));
    const secrets = manager({ provider: memory({ values }), cache: { maxEntries: 10 } });
    for (const path of Object.keys(values)) await secrets.get(path);
    expect(secrets.stats()).toMatchObject({ cacheEntries: 10, cacheEvictions: 40 });
  });
});

describe('writing', () => {
  it('creates once, updates by compare-and-set, rolls back as a new version', async () => {
    const secrets = manager();
    await secrets.create('a', '1');
    await expect(secrets.create('a', '2')).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    await Promise.all(Array.from({ length: 4 }, () => secrets.update('a', (now) => String(Number(now.reveal()) + 1))));
    expect((await secrets.getOrThrow('a')).reveal()).toBe('5');
    const rolled = await secrets.rollback('a');
    expect(rolled.version).toBe('6');
    expect((await secrets.getOrThrow('a')).reveal()).toBe('4');
    await secrets.rollback('a', { toVersion: '1' });
    expect((await secrets.getOrThrow('a')).reveal()).toBe('1');
    await expect(secrets.put('a', 'x', { ifVersion: '2' })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    await expect(secrets.rollback('a', { toVersion: '99' })).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
    const versions: string[] = [];
    for await (const { version } of secrets.versions('a')) versions.push(version);
    expect(versions).toEqual(['7', '6', '5', '4', '3', '2', '1']);
  });

  it('deletes, lists and restores', async () => {
    const secrets = manager();
    for (const path of ['a/1', 'a/2', 'b']) await secrets.put(path, 'x');
    await secrets.delete('a/1');
    await expect(secrets.get('a/1')).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE',
      details: { state: 'deleted' },
    });
    const list = async (options = {}): Promise<string[]> => {
      const found: string[] = [];
      for await (const { path } of secrets.list('a/', options)) found.push(path);
      return found;
    };
    expect(await list()).toEqual(['a/2']);
    expect(await list({ includeDeleted: true })).toEqual(['a/1', 'a/2']);
    await secrets.restore('a/1');
    expect((await secrets.getOrThrow('a/1')).reveal()).toBe('x');
    await secrets.delete('a/1', { permanent: true });
    expect(await secrets.get('a/1')).toBeUndefined();
    await secrets.delete('never');
  });

  it('refuses what cannot be stored before anything is sent, without quoting it', async () => {
    const secrets = manager();
    const bad: [unknown, string][] = [
      ['x'.repeat(5 * 1024 * 1024), 'MNOPS_CORE_TOO_LARGE'],
      [undefined, 'MNOPS_CORE_CONFIG_INVALID'],
      [{ secretive: 'quoted', n: Number.NaN }, 'MNOPS_CORE_CONFIG_INVALID'],
      ['\ud800', 'MNOPS_CORE_CONFIG_INVALID'],
      [() => 'quoted', 'MNOPS_CORE_CONFIG_INVALID'],
    ];
    for (const [value, code] of bad) {
      const error: unknown = await secrets.put('a', value as string).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code });
      expect(inspect(error)).not.toContain('quoted');
    }
    expect(await secrets.describe('a')).toBeUndefined();
    for (const path of ['', '/a', 'a/', 'a//b', '../a', 'a/./b', 'a\nb', 'a*', 'x'.repeat(513), 'e\u0301', 'a/+/b']) {
      await expect(secrets.put(path, 'x')).rejects.toMatchObject({ code: 'MNOPS_SECRETS_PATH_INVALID' });
    }
  });

  it('refuses options of a write that are misspelt or of another kind, by name', async () => {
    const secrets = manager();
    for (const [options, text] of [
      [{ expiresAt: '2100-01-01' }, 'expiresAt: expected a valid Date, received string'],
      [{ expiresAtt: new Date() }, 'Did you mean `expiresAt`?'],
      [{ ifVersoin: '1' }, 'Did you mean `ifVersion`?'],
    ] as const) {
      await expect(secrets.put('a', 'x', options as never)).rejects.toThrow(text);
    }
    await expect(secrets.create('a', 'x', { ifVersion: '1', tag: {} } as never)).rejects.toThrow(
      'Did you mean `tags`?',
    );
    expect(await secrets.get('a')).toBeUndefined();
    await secrets.put('a', 'x');
    await expect(secrets.setExpiry('a', '2100-01-01' as never)).rejects.toThrow('a valid Date or null');
  });

  it('names what is wrong with an audit option, a schedule, or the values of a store in memory', () => {
    expect(() => manager({ audit: { hashPath: true } as never })).toThrow('Did you mean `hashPaths`?');
    const rotator = randomValue();
    expect(() => manager({ rotations: { a: { rotator, schedule: 'dayly' as never } } })).toThrow(
      /rotations\.a\.schedule: expected .*"daily"/,
    );
    expect(() => memory({ value: {} } as never)).toThrow('Did you mean `values`?');
    expect(() => memory({ values: { '/a': 'x' } })).toThrow(/not in normal form/);
  });

  it('names the field of a configuration whose reference cannot be resolved', async () => {
    const secrets = manager();
    const error: unknown = await secrets.resolveAll({ db: ['secret://absent'] }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND', details: { path: 'absent', field: 'db.0' } });
    expect((error as Error).message).toMatch(/^db\.0: /);
  });

  it('closes what it tried to open, so that a member of a composite that is open does not stay so', async () => {
    const closed: string[] = [];
    const member = (id: string, open: () => Promise<void>): SecretProvider => ({
      ...memory(),
      id,
      open,
      close: async () => void closed.push(id),
    });
    const down = coreError('MNOPS_CORE_UNAVAILABLE', 'down');
    const failing = new SecretsManager({
      provider: route({
        'a/': member('well', async () => undefined),
        'b/': member('down', () => Promise.reject(down)),
      }),
    });
    await expect(failing.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    await failing.stop();
    expect(closed.sort()).toEqual(['down', 'well']);
    const untouched = new SecretsManager({ provider: member('untouched', async () => undefined) });
    await untouched.stop();
    expect(closed).not.toContain('untouched');
  });

  it('lists every wrong option at once and quotes no value', () => {
    const wrong = { cache: { ttl: 5 }, timeoutMs: 'secretive', retry: { maxAttempts: 0 }, unknown: 1 };
    let error: unknown;
    try {
      manager(wrong as unknown as SecretConfig);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    const fields = (error as { details: { issues: { field: string }[] } }).details.issues.map(({ field }) => field);
    expect(fields).toEqual(expect.arrayContaining(['cache.ttl', 'timeoutMs', 'retry.maxAttempts', 'unknown']));
    expect(inspect(error, { depth: 9 })).not.toContain('secretive');
  });
});

describe('rules and records', () => {
  const access = {
    roles: {
      reader: [
        { path: 'db/*', allow: ['read', 'list'] as const },
        { path: 'db/root', deny: ['*'] as const },
      ],
      admin: [{ path: '*', allow: ['*'] as const }],
    },
    actors: { web: ['reader'], ops: ['admin'] },
    defaultActor: 'web',
  };

  it('denies by default, for reads, writes, lists, handles and references', async () => {
    const secrets = manager({ provider: memory({ values: { 'db/app': 'x', 'db/root': 'y', other: 'z' } }), access });
    const denied = { code: 'MNOPS_CORE_ACCESS_DENIED' };
    expect((await secrets.getOrThrow('db/app')).reveal()).toBe('x');
    await expect(secrets.get('db/root')).rejects.toMatchObject(denied);
    await expect(secrets.get('other')).rejects.toMatchObject(denied);
    await expect(secrets.put('db/app', 'x')).rejects.toMatchObject(denied);
    await expect(secrets.handle('other').ready()).rejects.toMatchObject(denied);
    await expect(secrets.resolveAll({ a: 'secret://other' })).rejects.toMatchObject(denied);
    await expect(secrets.as('nobody').get('db/app')).rejects.toMatchObject(denied);
    const seen: string[] = [];
    for await (const { path } of secrets.list()) seen.push(path);
    expect(seen).toEqual(['db/app']);
    await secrets.as('ops').put('db/app', 'changed');
    expect(secrets.explain('web', 'read', 'db/root')).toMatchObject({
      allowed: false,
      rule: 'db/root',
      role: 'reader',
    });
    expect(secrets.explain('ops', 'delete', 'db/root')).toMatchObject({ allowed: true, rule: '*' });
    expect(() => manager({ access: { ...access, defaultActor: 'x' } })).toThrow(/defaultActor/);
    expect(() => manager({ access: { roles: {}, actors: { a: ['no'] } } })).toThrow(/access\.actors\.a\.0/);
  });

  it('records each operation once, with its outcome, and finds an edit', async () => {
    const folder = await newFolder();
    const secrets = manager({ folder, access });
    await secrets.as('ops').put('db/app', 'x');
    await secrets.get('db/app');
    await secrets.get('db/app');
    await secrets.get('db/root').catch(() => undefined);
    await secrets.get('db/none');
    const entries: string[] = [];
    for await (const { actor, operation, path, outcome, cached } of secrets.audit.query()) {
      entries.push(`${actor} ${operation} ${path} ${outcome}${cached ? ' cached' : ''}`);
    }
    expect(entries).toEqual([
      'ops update db/app ok',
      'web read db/app ok',
      'web read db/app ok cached',
      'web read db/root denied',
      'web read db/none ok',
    ]);
    expect((await secrets.audit.verify()).intact).toBe(true);
    expect(secrets.audit.durable).toBe(true);
    await secrets.stop();
    const { readdir } = await import('node:fs/promises');
    const files = await readdir(join(folder, 'audit'), { recursive: true, withFileTypes: true });
    for (const entry of files.filter((each) => each.isFile() && !each.name.endsWith('.lock'))) {
      const file = join(entry.parentPath, entry.name);
      const text = await readFile(file, 'latin1');
      if (text.includes('denied')) await writeFile(file, text.replace('denied', 'failed'), 'latin1');
    }
    expect((await manager({ folder }).audit.verify()).intact).toBe(false);
  });

  it('hands out nothing that it cannot record', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'audit'), 'not a folder');
    const secrets = manager({ provider: memory({ values: { a: 'x' } }), folder });
    const refused = { code: 'MNOPS_CORE_AUDIT_UNAVAILABLE', remedy: expect.stringContaining('audit: false') };
    await expect(secrets.get('a')).rejects.toMatchObject(refused);
    await expect(secrets.put('a', 'y')).rejects.toMatchObject(refused);
    await rm(join(folder, 'audit'));
    expect((await secrets.getOrThrow('a')).reveal()).toBe('x');
  });
});

describe('following and resolving', () => {
  it('lets handles follow writes of another process on the same vault', async () => {
    const file = join(await newFolder(), 'secrets.vault');
    const key = rawKey(Buffer.alloc(32, 3));
    const writer = manager({ provider: encryptedFile({ file, key }) });
    const reader = manager({ provider: encryptedFile({ file, key, reloadIntervalMs: 40 }) });
    await writer.put('a', 'one');
    const handle = reader.handle('a');
    expect(() => handle.current).toThrow(/has not read/);
    await handle.ready();
    const seen: string[] = [];
    handle.onChange((next, before) => seen.push(`${before?.version}>${next.version}`));
    await writer.put('a', 'two');
    await eventually(() => handle.current.equals('two'));
    expect(seen).toEqual(['1>2']);
    expect((await reader.getOrThrow('a')).reveal()).toBe('two');
    await handle[Symbol.asyncDispose]();
    expect(reader.stats().handles).toBe(0);
  });

  it('resolves references with fields, and whole configurations', async () => {
    const secrets = manager();
    await secrets.put('db/login', { user: 'app', password: 'p@ss' });
    await secrets.put('plain', 'text');
    const resolver = secrets.resolver({ actor: 'web' });
    expect((await resolver.resolve('secret://db/login#password')).reveal()).toBe('p@ss');
    expect((await resolver.resolve('secret://plain@1')).reveal()).toBe('text');
    const resolved = await secrets.resolveAll({
      url: 'pg://${secret://db/login#user}@host',
      list: ['secret://plain', 5],
      keep: 'x',
    });
    expect(resolved).toEqual({ url: 'pg://app@host', list: ['text', 5], keep: 'x' });
    const changes: string[] = [];
    const stop = resolver.subscribe?.('secret://plain', (next) => changes.push(next.reveal()));
    await eventually(() => secrets.stats().handles === 1);
    await secrets.get('plain');
    await eventually(async () => {
      await secrets.put('plain', `next ${Math.random()}`);
      return changes.length > 0;
    });
    stop?.();
    for (const bad of [
      'secret://',
      'secret://a#',
      'secret://a@',
      'secret://a@1@2',
      'secret://a#b#c',
      'secret://%zz',
      'http://a',
      'secret://../a',
    ]) {
      await expect(resolver.resolve(bad)).rejects.toMatchObject({
        code: expect.stringMatching(/REFERENCE_INVALID|PATH_INVALID/),
      });
    }
    await expect(resolver.resolve('secret://db/login#nothing')).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_VALUE_INVALID',
    });
  });
});
