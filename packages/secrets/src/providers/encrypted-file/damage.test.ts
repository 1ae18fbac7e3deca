import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { codeOf } from '@mnops/core';
import { keyFile, passphraseKey, rawKey } from '@mnops/core/crypto';
import { acquireFileLock, openRecordLog } from '@mnops/core/files';
import type { KeyWrapper } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { encryptedFile } from './index.js';

const key = rawKey(Buffer.alloc(32, 7));
const call = testCall();
const paths = ['a', 'b/c', 'd'];

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-damage-'));
  file = join(folder, 'secrets.vault');
  const provider = encryptedFile({ file, key });
  for (const path of paths) {
    await provider.put(path, Buffer.from(`value of ${path}`), { token: path, stages: ['current'] }, call);
  }
  await provider.close?.(call);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Look {
  readonly code?: string | undefined;
  readonly values: readonly (string | undefined)[];
  readonly lost: number;
  readonly damage: number;
}

async function look(at: string, wrapper: KeyWrapper = key): Promise<Look> {
  const provider = encryptedFile({ file: at, key: wrapper });
  const values: (string | undefined)[] = [];
  try {
    for (const path of paths) {
      const stored = await provider.get(path, {}, call);
      values.push(stored === undefined ? undefined : Buffer.from(stored.value).toString());
    }
    const damage = provider.damage?.() ?? [];
    return { values, lost: damage.reduce((sum, { records }) => sum + records, 0), damage: damage.length };
  } catch (error) {
    return { code: codeOf(error) ?? 'unknown', values, lost: 0, damage: 0 };
  } finally {
    await provider.close?.(call);
  }
}

describe('a damaged vault', () => {
  it('opens with each byte flipped in turn, says what is lost, and loses at most one record', async () => {
    const whole = await readFile(file);
    const copy = join(folder, 'copy.vault');
    for (let offset = 0; offset < whole.length; offset += 1) {
      const bytes = Buffer.from(whole);
      bytes[offset] = (bytes[offset] as number) ^ (1 << (offset % 8));
      await writeFile(copy, bytes);
      const { code, values, lost, damage } = await look(copy);
      expect(code, `byte ${offset}`).toBeUndefined();
      const missing = values.filter((value) => value === undefined).length;
      expect(missing, `byte ${offset}`).toBeLessThanOrEqual(1);
      for (const [index, value] of values.entries()) {
        if (value !== undefined) expect(value).toBe(`value of ${paths[index]}`);
      }
      if (missing > 0) expect(lost, `byte ${offset}`).toBeGreaterThanOrEqual(missing);
      if (missing > 0) expect(damage, `byte ${offset}`).toBeGreaterThan(0);
    }
  });

  it('opens cut at any length after its keys, and is unreadable without a header', async () => {
    const whole = await readFile(file);
    const copy = join(folder, 'copy.vault');
    let most = 0;
    for (let length = 0; length < whole.length; length += 1) {
      await writeFile(copy, whole.subarray(0, length));
      const { code, values } = await look(copy);
      if (code !== undefined) expect(code, `length ${length}`).toBe('MNOPS_CORE_STORAGE_UNREADABLE');
      const found = values.filter((value) => value !== undefined).length;
      expect(found).toBeGreaterThanOrEqual(most);
      most = found;
    }
  });

  it('goes on with writes after damage, and gives no version number twice', async () => {
    const whole = await readFile(file);
    const provider = encryptedFile({ file, key });
    await provider.put('a', Buffer.from('second'), { token: 'a2', stages: ['current'] }, call);
    await provider.close?.(call);
    const grown = await readFile(file);
    const at = whole.length + Math.floor((grown.length - whole.length) / 2);
    grown[at] = (grown[at] as number) ^ 0xff;
    await writeFile(file, Buffer.concat([grown]));
    const secrets = new SecretsManager({ provider: encryptedFile({ file, key }) });
    const damaged: unknown[] = [];
    secrets.on('storage:damaged', (damage) => damaged.push(damage));
    await secrets.start();
    await secrets.put('d', 'later');
    expect((await secrets.getOrThrow('a')).reveal()).toBe('value of a');
    expect((await secrets.put('a', 'third')).version).toBe('3');
    expect(damaged.length).toBeGreaterThan(0);
    expect(secrets.status).toBe('degraded');
    expect(await secrets.health()).toMatchObject({ status: 'degraded' });
    await secrets.stop();
  });

  it('names the secret whose newest version is lost, once another change was written behind it', async () => {
    const before = (await readFile(file)).length;
    const provider = encryptedFile({ file, key });
    await provider.put('a', Buffer.from('second'), { token: 'a2', stages: ['current'] }, call);
    const between = (await readFile(file)).length;
    await provider.put('d', Buffer.from('later'), { token: 'd2', stages: ['current'] }, call);
    await provider.close?.(call);
    const bytes = await readFile(file);
    for (let at = before; at < between; at += 7) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ 0x10;
      await writeFile(file, copy);
      const secrets = new SecretsManager({ provider: encryptedFile({ file, key }) });
      const damaged: { readonly path?: string | undefined; readonly records: number }[] = [];
      secrets.on('storage:damaged', (damage) => damaged.push(damage));
      await secrets.start();
      expect(damaged, `byte ${at}`).toMatchObject([{ path: 'a', records: 1 }]);
      expect((await secrets.health()).reasons.join()).toContain('changed a: an older state is in use');
      await secrets.stop();
    }
  });

  it('tells an append under way from a damaged end, and reports the end to readers that follow', async () => {
    const before = await readFile(file);
    const writer = encryptedFile({ file, key });
    await writer.put('a', Buffer.from('second'), { token: 'a2', stages: ['current'] }, call);
    await writer.close?.(call);
    const whole = await readFile(file);
    const flipped = Buffer.from(whole);
    const middle = Math.floor((before.length + whole.length) / 2);
    flipped[middle] = (flipped[middle] as number) ^ 0x10;
    for (const end of [whole.subarray(0, middle), flipped]) {
      await writeFile(file, before);
      const reader = encryptedFile({ file, key });
      const read = async (): Promise<string> => Buffer.from((await reader.get('a', {}, call))?.value ?? []).toString();
      expect(await read()).toBe('value of a');
      const lock = await acquireFileLock(`${file}.lock`);
      await writeFile(file, end);
      expect(await read()).toBe('value of a');
      expect(reader.damage?.()).toEqual([]);
      await lock.release();
      expect(await read()).toBe('value of a');
      expect(await read()).toBe('value of a');
      expect(reader.damage?.()).toMatchObject([{ offset: before.length, records: 1 }]);
      await reader.close?.(call);
    }
    await writeFile(file, before);
    const reader = encryptedFile({ file, key });
    await reader.open?.(call);
    const lock = await acquireFileLock(`${file}.lock`);
    await writeFile(file, whole.subarray(0, middle));
    await reader.get('a', {}, call);
    await writeFile(file, whole);
    await lock.release();
    expect(Buffer.from((await reader.get('a', {}, call))?.value ?? []).toString()).toBe('second');
    expect(reader.damage?.()).toEqual([]);
    await reader.close?.(call);
  });

  it('does not start a vault that is absent without a key that is there or may be made', async () => {
    const at = join(folder, 'absent.vault');
    const keyAt = join(folder, 'absent-key');
    const sealed = new SecretsManager({ provider: encryptedFile({ file: at, key: keyFile({ file: keyAt }) }) });
    await expect(sealed.start()).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_SEALED',
      remedy: expect.any(String),
      details: { keyFile: keyAt },
    });
    expect(sealed.status).toBe('failed');
    await sealed.stop();
    const provider = encryptedFile({ file: at, key: keyFile({ file: keyAt, create: true }) });
    const made = new SecretsManager({ provider });
    await made.start();
    expect(made.status).toBe('ready');
    await made.put('a', 'x');
    expect((await made.getOrThrow('a')).reveal()).toBe('x');
    await made.stop();
  });

  it('tells a wrong key, a missing key, a damaged header, a foreign file and another version apart', async () => {
    const failures: Record<string, unknown> = {};
    const failing = async (name: string, at: string, wrapper: KeyWrapper = key): Promise<void> => {
      const secrets = new SecretsManager({ provider: encryptedFile({ file: at, key: wrapper }) });
      failures[name] = await secrets.start().catch((error: unknown) => error);
      await secrets.stop();
    };
    const whole = await readFile(file);
    await failing('wrong', file, rawKey(Buffer.alloc(32, 8)));
    await failing('same id', file, rawKey(Buffer.alloc(32, 8), { keyId: key.keyId }));
    await failing('missing', file, keyFile({ file: join(folder, 'no-key') }));
    await failing('missing, may be made', file, keyFile({ file: join(folder, 'no-key'), create: true }));
    const damaged = join(folder, 'damaged.vault');
    const bytes = Buffer.from(whole);
    for (const copy of [0, bytes.indexOf('MNVAULT1', 8)]) bytes.fill(0, copy + 8, copy + 40);
    await writeFile(damaged, bytes);
    await failing('header', damaged);
    await writeFile(
      join(folder, 'foreign'),
      'PK\u0003\u0004 this is something else, and long enough to be looked at'.repeat(20),
    );
    await failing('foreign', join(folder, 'foreign'));
    const later = await openRecordLog({ file: join(folder, 'later'), magic: 'MNVAULT1', version: 9 });
    await later.close();
    await failing('version', join(folder, 'later'));
    await writeFile(join(folder, 'plain'), '');
    await failing('folder', join(folder, 'plain', 'secrets.vault'));
    expect(Object.fromEntries(Object.entries(failures).map(([name, error]) => [name, codeOf(error)]))).toEqual({
      wrong: 'MNOPS_CORE_KEY_INVALID',
      'same id': 'MNOPS_CORE_KEY_INVALID',
      missing: 'MNOPS_SECRETS_SEALED',
      'missing, may be made': 'MNOPS_SECRETS_SEALED',
      header: 'MNOPS_CORE_STORAGE_UNREADABLE',
      foreign: 'MNOPS_CORE_STORAGE_UNREADABLE',
      version: 'MNOPS_CORE_STORAGE_UNREADABLE',
      folder: 'MNOPS_CORE_STORAGE_FAILED',
    });
    for (const [name, error] of Object.entries(failures)) {
      expect((error as { remedy?: string }).remedy, name).toBeTruthy();
      expect(inspect(error), name).not.toContain('value of');
    }
    const messages = ['header', 'foreign', 'version'].map((name) => (failures[name] as Error).message);
    expect(messages[1]).toMatch(/is not a MNVAULT1 file/);
    expect(messages[2]).toMatch(/version 9/);
    expect((await look(file)).values).toEqual(paths.map((path) => `value of ${path}`));
  });

  it('opens with the passphrase it was written with, and with no other', async () => {
    const at = join(folder, 'phrase.vault');
    const provider = encryptedFile({ file: at, key: passphraseKey({ passphrase: 'correct horse' }) });
    await provider.put('a', Buffer.from('x'), { token: '1', stages: ['current'] }, call);
    await provider.close?.(call);
    expect((await look(at, passphraseKey({ passphrase: 'correct horse' }))).values[0]).toBe('x');
    expect((await look(at, passphraseKey({ passphrase: 'wrong horse' }))).code).toBe('MNOPS_CORE_KEY_INVALID');
  });

  it('takes the lock over that a dead process left', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const owner = {
      pid: dead,
      startTime: '1',
      bootId: '',
      host: '',
      namespace: '',
      purpose: '',
      sinceMs: 0,
      token: 'dead',
    };
    const live = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    const { hostname } = await import('node:os');
    const { readlink } = await import('node:fs/promises');
    const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
    await writeFile(`${file}.lock`, JSON.stringify({ ...owner, bootId: live.trim(), host: hostname(), namespace }));
    const provider = encryptedFile({ file, key });
    await provider.put('a', Buffer.from('after'), { token: 'after', stages: ['current'] }, call);
    await provider.close?.(call);
    expect((await look(file)).values[0]).toBe('after');
  });

  it('refuses a record that was moved to another place', async () => {
    const other = join(folder, 'other.vault');
    await copyFile(file, other);
    const source = await openRecordLog({ file, magic: 'MNVAULT1', version: 1, readOnly: true });
    const payloads: Uint8Array[] = [];
    for await (const { payload } of source.records()) payloads.push(payload);
    await source.close();
    const target = await openRecordLog({ file: other, magic: 'MNVAULT1', version: 1 });
    await target.append(payloads[2] as Uint8Array);
    await target.close();
    const { values, lost } = await look(other);
    expect(values).toEqual(paths.map((path) => `value of ${path}`));
    expect(lost).toBe(1);
  });
});
