import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { rotatorContract, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { toSecretValue } from '../secret-value.js';
import { SecretsManager } from '../secrets-manager.js';
import { passwordMaker } from './password.js';
import { type RandomValueOptions, randomValue } from './random-value.js';
import { type SigningKeyOptions, signingKey } from './signing-key.js';

const open: SecretsManager[] = [];
afterEach(async () => {
  for (const secrets of open.splice(0)) await secrets.stop();
});

const keys: readonly SigningKeyOptions[] = [
  { type: 'hmac' },
  { type: 'hmac', bytes: 32, format: 'text' },
  { type: 'ed25519' },
  { type: 'ed25519', format: 'pem' },
  { type: 'ec', curve: 'P-384' },
  { type: 'rsa', modulusLength: 2_048 },
];

rotatorContract({ describe, it }, 'randomValue', async () => ({
  provider: randomValue(),
  current: Buffer.from('first'),
}));
for (const key of keys) {
  rotatorContract({ describe, it }, `signingKey ${JSON.stringify(key)}`, async () => ({
    provider: signingKey(key),
    current: Buffer.from('first'),
  }));
}

const contextOf = (text: string) => {
  const value = toSecretValue('a/key', 'test', { value: Buffer.from(text), version: '1', stages: [] });
  return {
    path: 'a/key',
    token: 't',
    strategy: 'single-user' as const,
    current: value,
    pending: value,
    call: testCall(),
  };
};
const made = async (rotator: ReturnType<typeof randomValue>): Promise<string> =>
  String(await rotator.generate(contextOf('x')));

describe('passwordMaker', () => {
  it('draws every character equally often, and has each class of its alphabet in every password', () => {
    const make = passwordMaker('test', { length: 25, alphabet: 'abcXYZ01-_' });
    const counts = new Map<string, number>();
    for (let drawn = 0; drawn < 4_000; drawn += 1) {
      const password = make();
      expect(password).toMatch(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[-_])[abcXYZ01_-]{25}$/);
      for (const character of password) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    // 100,000 characters of 10: within each class equal, five standard deviations are under 500.
    for (const group of ['abc', 'XYZ', '01', '-_']) {
      const seen = [...group].map((character) => counts.get(character) ?? 0);
      expect(Math.max(...seen) - Math.min(...seen), group).toBeLessThan(1_000);
    }
    expect(counts.size).toBe(10);
  });

  it.each<[RandomValueOptions, RegExp]>([
    [{ length: 4 }, /length/],
    [{ length: 32, alphabet: 'a' }, /length/],
    [{ length: 99, alphabet: 'aab' }, /alphabet/],
    [{ length: 32, alphabet: 'abcdefghijé' }, /alphabet/],
    [{ bytes: 9 }, /bytes/],
    [{ bytes: 16, length: 32 }, /bytes/],
    [{ size: 3 } as RandomValueOptions, /size/],
  ])('refuses what could be guessed: %j', (options, field) => {
    expect(() => randomValue(options)).toThrow(field);
  });
});

describe('randomValue', () => {
  it('has the bytes or characters that were asked for', async () => {
    expect(Buffer.from(await made(randomValue()), 'base64url')).toHaveLength(32);
    expect(Buffer.from(await made(randomValue({ bytes: 16 })), 'base64url')).toHaveLength(16);
    expect(await made(randomValue({ length: 40 }))).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(await made(randomValue({ length: 30, alphabet: '0123456789' }))).toMatch(/^\d{30}$/);
  });

  it('leaves the old value accepted by readers until its grace ends', async () => {
    const secrets = new SecretsManager({
      provider: memory({ values: { token: 'first' } }),
      rotations: { token: { rotator: randomValue(), graceMs: 3_600_000 } },
    });
    open.push(secrets);
    const handle = secrets.handle('token');
    await handle.ready();
    await secrets.rotation.rotate('token');
    await handle.ready();
    const next = (await secrets.getOrThrow('token')).reveal();
    expect(handle.accepted.map((value) => value.reveal()).sort()).toEqual(['first', next].sort());
  });
});

describe('signingKey', () => {
  it.each(keys)('makes a key that signs: %j', async (options) => {
    const text = await made(signingKey(options));
    await signingKey(options).verify(contextOf(text));
    if (options.type === 'hmac') {
      const key = options.format === 'text' ? text : (JSON.parse(text) as { k: string }).k;
      expect(Buffer.from(key, 'base64url')).toHaveLength(options.bytes ?? 64);
      return;
    }
    const key =
      options.format === 'pem' ? createPrivateKey(text) : createPrivateKey({ key: JSON.parse(text), format: 'jwk' });
    const digest = options.type === 'ed25519' ? null : 'sha256';
    expect(verify(digest, Buffer.from('x'), createPublicKey(key), sign(digest, Buffer.from('x'), key))).toBe(true);
    if (options.format !== 'pem')
      expect(JSON.parse(text)).toMatchObject({ kid: expect.stringMatching(/^[\w-]{43}$/), use: 'sig' });
  });

  it.each(keys)('refuses another value, and shows nothing of it: %j', async (options) => {
    const other = options.type === 'ec' ? { type: 'ed25519' as const } : { type: 'ec' as const };
    for (const text of ['hunter2', '{"kty":"oct","k":"hunter2"}', await made(signingKey(other))]) {
      const error: unknown = await signingKey(options)
        .verify(contextOf(text))
        .catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MNOPS_SECRETS_VALUE_INVALID' });
      expect(String((error as Error).stack)).not.toContain('hunter2');
    }
  });

  it.each([
    { type: 'dsa' },
    { type: 'hmac', bytes: 8 },
    { type: 'rsa', modulusLength: 1_024 },
    { type: 'ec', curve: 'P-192' },
  ])('refuses the options %j', (options) => {
    expect(() => signingKey(options as SigningKeyOptions)).toThrow(/signingKey/);
  });

  it('names a key by its thumbprint', async () => {
    const text = await made(signingKey({ type: 'rsa', modulusLength: 2_048 }));
    const { kid, n, e } = JSON.parse(text) as { kid: string; n: string; e: string };
    const digest = await crypto.subtle.digest(
      'SHA-256',
      new TextEncoder().encode(`{"e":"${e}","kty":"RSA","n":"${n}"}`),
    );
    expect(kid).toBe(Buffer.from(digest).toString('base64url'));
  });
});
