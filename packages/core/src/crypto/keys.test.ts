import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callOf } from '../call.js';
import { openEnvelope, sealEnvelope } from './envelope.js';
import { defaultFile, keyFile } from './key-file.js';
import { wrapDataKey } from './key-wrap.js';
import { encodeHead, passphraseKey } from './passphrase-key.js';
import { pbkdf2 } from './primitives.js';
import { rawKey } from './raw-key.js';

const call = callOf();
const context = Buffer.from('context');
const dataKey = randomBytes(32);

describe('passphraseKey', () => {
  it('opens with the same passphrase only, in another process too', async () => {
    const envelope = await sealEnvelope(passphraseKey({ passphrase: 'correct horse' }), Buffer.from('x'), [], call);
    const again = passphraseKey({ passphrase: async () => 'correct horse' });
    expect(Buffer.from(await openEnvelope(again, envelope, [], call)).toString()).toBe('x');
    const wrong = passphraseKey({ passphrase: 'battery staple' });
    await expect(openEnvelope(wrong, envelope, [], call)).rejects.toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
    // The salt that it opened with is the one that it seals with: one derivation for all data.
    const next = await sealEnvelope(again, Buffer.from('y'), [], call);
    const saltAt = 12 + 'passphrase'.length + 5;
    expect(next.subarray(saltAt, saltAt + 16)).toEqual(envelope.subarray(saltAt, saltAt + 16));
  });

  it('takes composed and decomposed letters as the same', async () => {
    const wrapped = await passphraseKey({ passphrase: 'caf\u00e9' }).wrap(dataKey, context, call);
    const other = passphraseKey({ passphrase: 'cafe\u0301' });
    expect(Buffer.from(await other.unwrap('passphrase', wrapped, context, call)).equals(dataKey)).toBe(true);
  });

  async function oldBlob(iterations: number): Promise<Buffer> {
    const salt = randomBytes(16);
    const key = await pbkdf2({ password: 'pass', salt, iterations });
    const head = encodeHead(iterations, salt);
    return Buffer.concat([head, wrapDataKey(key, dataKey, Buffer.concat([head, context]))]);
  }

  it('opens data of 100,000 iterations, refuses fewer and absurdly many', async () => {
    const wrapper = passphraseKey({ passphrase: 'pass' });
    const old = await oldBlob(100_000);
    expect(Buffer.from(await wrapper.unwrap('passphrase', old, context, call)).equals(dataKey)).toBe(true);
    const weak = await oldBlob(99_999);
    await expect(wrapper.unwrap('passphrase', weak, context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_INTEGRITY',
    });
    const heavy = Buffer.from(old);
    heavy.writeUInt32BE(10_000_001, 1);
    await expect(wrapper.unwrap('passphrase', heavy, context, call)).rejects.toThrow(/10000001 iterations/);
    const changed = Buffer.from(old);
    changed.writeUInt32BE(100_001, 1);
    await expect(wrapper.unwrap('passphrase', changed, context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
    });
    const fresh = await wrapper.wrap(dataKey, context, call);
    expect(Buffer.from(fresh).readUInt32BE(1)).toBe(600_000);
  });

  it('seals with at least 600,000 iterations, and refuses an empty passphrase', async () => {
    expect(() => passphraseKey({ passphrase: 'x', iterations: 599_999 })).toThrow(
      expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }),
    );
    await expect(passphraseKey({ passphrase: () => '' }).wrap(dataKey, context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
    });
  });
});

describe('keyFile', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-key-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('makes the file only when asked, for its owner alone, and says where', async () => {
    const file = join(folder, 'sub', 'key');
    await expect(keyFile({ file }).wrap(dataKey, context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
      message: `There is no key file ${file}.`,
    });
    const made: string[] = [];
    const wrapper = keyFile({ file, create: true, onCreated: (path) => made.push(path) });
    await expect(wrapper.unwrap('key-file', Buffer.alloc(85), context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
    });
    const wrapped = await wrapper.wrap(dataKey, context, call);
    expect([made, wrapper.file, (await stat(file)).mode & 0o777]).toEqual([[file], file, 0o600]);
    expect(Buffer.from(await keyFile({ file }).unwrap('key-file', wrapped, context, call)).equals(dataKey)).toBe(true);
  });

  it('is made once when several ask at the same time', async () => {
    const file = join(folder, 'key');
    const made: string[] = [];
    const wrappers = Array.from({ length: 5 }, () =>
      keyFile({ file, create: true, onCreated: (path) => made.push(path) }),
    );
    const wrapped = await Promise.all(wrappers.map((wrapper) => wrapper.wrap(dataKey, context, call)));
    for (const one of wrapped) await keyFile({ file }).unwrap('key-file', one, context, call);
    expect(made).toHaveLength(1);
  });

  it('refuses a file that others may read, or that is damaged, without telling the key', async () => {
    const file = join(folder, 'key');
    await keyFile({ file, create: true }).open?.(call);
    const text = await readFile(file, 'utf8');
    await chmod(file, 0o640);
    await expect(keyFile({ file }).wrap(dataKey, context, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
      remedy: expect.stringContaining(`chmod 600 ${file}`),
    });
    await chmod(file, 0o600);
    for (const damaged of [
      '',
      'x',
      text.slice(0, 30),
      text.replace(/:(.)/, (_, first) => (first === 'A' ? ':B' : ':A')),
    ]) {
      await writeFile(file, damaged);
      const failure: Error = await keyFile({ file })
        .wrap(dataKey, context, call)
        .then(
          () => new Error('accepted'),
          (error) => error,
        );
      expect(failure).toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
      expect(failure.message).not.toContain(text.split(':')[1]);
    }
    await writeFile(file, text);
    await keyFile({ file }).wrap(dataKey, context, call);
  });

  it('is in the configuration folder of the user unless told', () => {
    expect(defaultFile({ XDG_CONFIG_HOME: '/etc/me' })).toBe('/etc/me/mnops/key');
    expect(defaultFile({ XDG_CONFIG_HOME: 'relative' })).toMatch(/\.config\/mnops\/key$/);
    expect(defaultFile({})).toMatch(/\.config\/mnops\/key$/);
  });
});

describe('rawKey', () => {
  it('names itself by its key, and keeps a copy', async () => {
    const bytes = randomBytes(32);
    const wrapper = rawKey(bytes);
    expect(wrapper.keyId).toBe(rawKey(bytes).keyId);
    expect(wrapper.keyId).not.toBe(rawKey(randomBytes(32)).keyId);
    const wrapped = await wrapper.wrap(dataKey, context, call);
    bytes.fill(0);
    expect(Buffer.from(await wrapper.unwrap('', wrapped, context, call)).equals(dataKey)).toBe(true);
    expect(() => rawKey(Buffer.alloc(31))).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_KEY_INVALID' }));
  });

  it('does not show its key', () => {
    const bytes = Buffer.alloc(32, 'k');
    expect(inspect(rawKey(bytes), { depth: 9, showHidden: true }) + JSON.stringify(rawKey(bytes))).not.toMatch(
      /kkk|6b6b|107, 107/,
    );
  });
});

describe('a key given in the wrong shape', () => {
  const odd = (value: unknown) => value as never;
  it.each([
    ['keyFile', () => keyFile(odd('/keys/swordfish')), 'keyFile({ file })'],
    ['keyFile', () => keyFile(odd({ path: '/keys/swordfish' })), 'file'],
    ['keyFile', () => keyFile(odd(['/keys/swordfish'])), 'options'],
    ['keyFile', () => keyFile(odd(null)), 'options'],
    ['passphraseKey', () => passphraseKey(odd('swordfish')), 'passphraseKey({ passphrase })'],
    ['passphraseKey', () => passphraseKey(odd(() => 'swordfish')), 'passphraseKey({ passphrase })'],
    ['passphraseKey', () => passphraseKey(odd({})), 'passphrase'],
    ['passphraseKey', () => passphraseKey(odd({ passphrase: 'swordfish', rounds: 1 })), 'rounds'],
    ['rawKey', () => rawKey(Buffer.alloc(32), odd('swordfish')), 'options'],
    ['rawKey', () => rawKey(Buffer.alloc(32), odd({ id: 'swordfish' })), 'keyId'],
  ])('is refused by %s with what to write', (name, make, hint) => {
    const failure = thrownBy(make);
    expect(failure).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect(failure.message).toContain(name);
    expect(failure.message).toContain(hint);
    expect(failure.message + JSON.stringify(failure)).not.toContain('swordfish');
  });

  it('is refused by rawKey with its kind or length', () => {
    expect(thrownBy(() => rawKey(odd('swordfish'))).message).toMatch(/received string/);
    expect(thrownBy(() => rawKey(odd({ key: 'swordfish' }))).message).toMatch(/received object/);
    expect(thrownBy(() => rawKey(Buffer.alloc(16))).message).toMatch(/received 16 bytes/);
  });

  function thrownBy(make: () => unknown): Error {
    try {
      make();
    } catch (error) {
      return error as Error;
    }
    throw new Error('nothing was thrown');
  }
});
