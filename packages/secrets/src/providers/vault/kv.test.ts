import { MnopsError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashicorpVault } from './index.js';
import { fakeLogins, type VaultFake, vaultFake } from './vault.fake.js';

const { roleId, secretId } = fakeLogins;
let fake: VaultFake;
let provider: SecretProvider;

beforeEach(async () => {
  fake = await vaultFake();
  provider = hashicorpVault({ address: fake.url, auth: { appRole: { roleId, secretId } } });
  await provider.open?.(testCall());
  fake.reset();
});

afterEach(async () => {
  await provider.close?.(testCall());
  await fake.close();
});

let tokens = 0;

async function put(
  path: string,
  text: string,
  more: Partial<Parameters<SecretProvider['put']>[2]> = {},
): Promise<string> {
  tokens += 1;
  const options = { token: `token-${tokens}`, stages: ['current'], ...more };
  return (await provider.put(path, Buffer.from(text), options, testCall())).version;
}

async function text(path: string, at = {}): Promise<string | undefined> {
  const stored = await provider.get(path, at, testCall());
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

/** As `vault kv put` writes. */
function foreign(path: string, data: Record<string, string>): void {
  fake.kv.reply('POST', 'data', path, new URLSearchParams(), { data });
}

describe('what lies in Vault', () => {
  it('is fields and custom metadata that other tools can read', async () => {
    await put('db/login', '{"user":"app","password":"p4ss"}', {
      contentType: 'application/json',
      tags: { team: 'orders' },
      expiresAtMs: Date.UTC(2030, 0, 1),
    });
    const secret = fake.kv.secrets.get('db/login');
    expect(secret?.versions.get(1)?.data).toEqual({ user: 'app', password: 'p4ss' });
    expect(secret?.custom['team']).toBe('orders');
    expect(Object.keys(secret?.custom ?? {}).sort()).toEqual(['mnops-v1', 'team']);
    expect(await text('db/login')).toBe('{"user":"app","password":"p4ss"}');
  });

  it('costs one request to read where the newest version is the current one', async () => {
    await put('a', 'one');
    fake.reset();
    expect(await text('a')).toBe('one');
    expect(fake.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /v1/secret/data/a']);
  });

  it('follows what other tools write, also beside a pending version', async () => {
    foreign('a', { password: 'theirs' });
    expect(await text('a')).toBe('{"password":"theirs"}');
    await put('a', 'ours');
    await put('a', 'pending', { stages: ['pending'] });
    expect(await text('a')).toBe('ours');
    foreign('a', { value: 'theirs again' });
    expect(await text('a')).toBe('theirs again');
    expect(await text('a', { stage: 'previous' })).toBe('ours');
    expect(await text('a', { stage: 'pending' })).toBe('pending');
    expect((await provider.describe('a', testCall()))?.stages).toEqual({ current: '4', previous: '2', pending: '3' });
  });

  it('keeps tags of other tools when facts change, and replaces them when tags are given', async () => {
    await put('a', 'one', { tags: { team: 'a', tier: '1' } });
    await put('a', 'two');
    expect((await provider.describe('a', testCall()))?.tags).toEqual({ team: 'a', tier: '1' });
    await put('a', 'three', { tags: { owner: 'b' } });
    expect((await provider.describe('a', testCall()))?.tags).toEqual({ owner: 'b' });
  });

  it.each([
    { 'mnops-x': 'reserved' },
    { empty: '' },
    { ['long'.repeat(40)]: 'name' },
    { text: 'x'.repeat(513) },
    { control: 'a\nb' },
  ])('refuses a tag that Vault cannot keep', async (tags) => {
    await expect(put('a', 'x', { tags })).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      details: { issues: [expect.objectContaining({ field: 'tags' })] },
    });
    expect(fake.kv.secrets.get('a')?.versions.size ?? 0).toBe(0);
  });

  it('stays within 64 keys of metadata, however often it is written', async () => {
    await put('a', 'first', { tags: { team: 'a' } });
    for (let index = 0; index < 70; index += 1) {
      await put('a', `value ${index}`, { stages: index % 3 === 0 ? ['pending'] : ['current'] });
    }
    const custom = fake.kv.secrets.get('a')?.custom ?? {};
    expect(Object.keys(custom).length).toBeLessThan(20);
    expect(await text('a')).toBe('value 68');
    expect(await text('a', { stage: 'pending' })).toBe('value 69');
    expect(await text('a', { stage: 'previous' })).toBe('value 67');
  });

  it('tells a deleted version from a destroyed one and from none', async () => {
    const version = await put('a', 'x');
    await provider.delete('a', { versions: [version] }, testCall());
    await expect(text('a')).rejects.toMatchObject({ details: { state: 'deleted' } });
    await provider.restore?.('a', { versions: [version] }, testCall());
    expect(await text('a')).toBe('x');
    await provider.delete('a', { versions: [version], permanent: true }, testCall());
    await expect(text('a', { version })).rejects.toMatchObject({ details: { state: 'destroyed' } });
    expect(await text('a', { version: '7' })).toBeUndefined();
  });

  it('is restored as it was: what was deleted by itself stays deleted', async () => {
    const first = await put('a', 'one');
    await put('a', 'two');
    await provider.delete('a', { versions: [first] }, testCall());
    await provider.delete('a', {}, testCall());
    await provider.restore?.('a', {}, testCall());
    expect(await text('a')).toBe('two');
    await expect(text('a', { version: first })).rejects.toMatchObject({ details: { state: 'deleted' } });
  });

  it('is not listed once it was deleted for good, and holds no value any more', async () => {
    await put('folder/a', 'x', { tags: { team: 'a' } });
    await put('folder/b', 'y');
    await provider.delete('folder/a', { permanent: true }, testCall());
    const listed: string[] = [];
    for await (const { path } of provider.list('folder/', testCall())) listed.push(path);
    expect(listed).toEqual(['folder/b']);
    expect(await provider.describe('folder/a', testCall())).toBeUndefined();
    expect([...(fake.kv.secrets.get('folder/a')?.versions.values() ?? [])].every(({ destroyed }) => destroyed)).toBe(
      true,
    );
    expect(fake.kv.secrets.get('folder/a')?.custom).toEqual({ 'mnops-gone': '1' });
  });
});

describe('a write that is cut at any of its requests', () => {
  it.each([0, 1, 2, 3])('is completed by a repetition with the same token (cut after %i)', async (before) => {
    for (const afterHandling of [false, true]) {
      const path = `cut/${afterHandling}`;
      await put(path, 'one');
      fake.reset();
      const options = { token: `cut-${before}`, stages: ['pending'], expiresAtMs: Date.UTC(2031, 0, 1) };
      cutAfter(before, afterHandling);
      const write = (): Promise<{ version: string }> => provider.put(path, Buffer.from('two'), options, testCall());
      await expect(write()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
      expect(await text(path), 'a pending value is current for nobody').toBe('one');
      expect((await write()).version).toBe('2');
      expect((await write()).version).toBe('2');
      expect(fake.kv.secrets.get(path)?.latest).toBe(2);
      const pending = await provider.get(path, { stage: 'pending' }, testCall());
      expect(pending?.expiresAtMs).toBe(Date.UTC(2031, 0, 1));
    }
  });

  it('takes nothing over from an announcement whose version somebody else wrote', async () => {
    await put('a', 'one');
    cutAfter(2, false);
    const options = { token: 'lost', stages: ['current'], contentType: 'text/x-lost' };
    await provider.put('a', Buffer.from('lost'), options, testCall()).catch(() => undefined);
    await put('a', 'two', { contentType: 'text/x-two' });
    expect((await provider.get('a', {}, testCall()))?.contentType).toBe('text/x-two');
    expect((await provider.put('a', Buffer.from('lost'), options, testCall())).version).toBe('3');
  });

  it('of many at once keeps the facts of each version with it', async () => {
    await put('a', 'zero');
    const writes = Array.from({ length: 5 }, (_, index) =>
      put('a', `value ${index}`, { contentType: `text/x-${index}` }).catch((error: unknown) => {
        expect(MnopsError.is(error, 'MNOPS_CORE_CONFLICT')).toBe(true);
        return undefined;
      }),
    );
    for (const version of await Promise.all(writes)) {
      if (version === undefined) continue;
      const stored = await provider.get('a', { version }, testCall());
      const index = Buffer.from(stored?.value ?? [])
        .toString()
        .split(' ')[1];
      expect(stored?.contentType).toBe(`text/x-${index}`);
    }
  });
});

/** Lets some requests through and breaks the next one, before or after the server has acted on it. */
function cutAfter(count: number, afterHandling: boolean): void {
  let left = count;
  const cut = (): void => fake.next({ kind: 'reset', afterHandling });
  if (left === 0) cut();
  fake.handler((request) => {
    left -= 1;
    if (left === 0) cut();
    return fake.answer(request);
  });
}
