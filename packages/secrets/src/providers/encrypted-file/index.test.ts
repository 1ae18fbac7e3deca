import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyRing, rawKey } from '@mnops/core/crypto';
import type { KeyWrapper } from '@mnops/core/spi';
import { eventually, memorySnapshot, recoverableContract, secretProviderContract, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EncryptedFileProvider, encryptedFile } from './index.js';

const key = rawKey(Buffer.alloc(32, 7));
const call = testCall();

async function newVault(): Promise<{ provider: EncryptedFileProvider; folder: string; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-vault-'));
  const provider = encryptedFile({ file: join(folder, 'data', 'secrets.vault'), key, reloadIntervalMs: 50 });
  const close = async (): Promise<void> => {
    await provider.close?.(call);
    await rm(folder, { recursive: true, force: true });
  };
  return { provider, folder, close };
}

async function put(provider: EncryptedFileProvider, path: string, value: string): Promise<string> {
  const token = `${Math.random()}`;
  return (await provider.put(path, Buffer.from(value), { token, stages: ['current'] }, call)).version;
}

async function text(provider: EncryptedFileProvider, path: string, version?: string): Promise<string | undefined> {
  const stored = await provider.get(path, { version }, call);
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

async function contentOf(provider: EncryptedFileProvider): Promise<Record<string, string | undefined>> {
  const content: Record<string, string | undefined> = {};
  for await (const { path } of provider.list('', call)) content[path] = await text(provider, path);
  return content;
}

secretProviderContract({ describe, it }, 'encrypted file', newVault);

describe('a vault behind a symbolic link', () => {
  it('is read, but not written: two names would be two locks', async () => {
    const { provider, folder, close } = await newVault();
    const link = join(folder, 'link.vault');
    await put(provider, 'a', 'one');
    await symlink(join(folder, 'data', 'secrets.vault'), link);
    const other = encryptedFile({ file: link, key, reloadIntervalMs: 50 });
    try {
      expect(await text(other, 'a')).toBe('one');
      await expect(put(other, 'a', 'two')).rejects.toMatchObject({
        code: 'MNOPS_CORE_STORAGE_FAILED',
        details: { field: 'file' },
      });
      expect(await text(provider, 'a')).toBe('one');
    } finally {
      await other.close?.(call);
      await close();
    }
  });
});

recoverableContract({ describe, it }, 'encrypted file', async () => {
  const { provider, close } = await newVault();
  let count = 0;
  return {
    provider: provider.recoverable,
    close,
    change: async () => {
      count += 1;
      await put(provider, `path/${count}`, `value ${count}`);
    },
    content: () => contentOf(provider),
    contentOf: async (folder: string) => {
      const copy = encryptedFile({ file: join(folder, 'secrets.vault'), key });
      try {
        return await contentOf(copy);
      } finally {
        await copy.close?.(call);
      }
    },
  };
});

describe('encryptedFile', () => {
  let vault: Awaited<ReturnType<typeof newVault>>;
  let file: string;
  beforeEach(async () => {
    vault = await newVault();
    file = join(vault.folder, 'data', 'secrets.vault');
  });
  afterEach(() => vault.close());

  it('is followed by another process, through appends, compaction and a restore in place', async () => {
    const { provider } = vault;
    const reader = encryptedFile({ file, key, reloadIntervalMs: 50 });
    const watch = testCall();
    const seen: (string | undefined)[] = [];
    const watching = (async () => {
      for await (const { path } of reader.watch?.('', watch) ?? []) seen.push(path);
    })();
    await put(provider, 'a', 'one');
    await eventually(() => seen.includes('a'));
    expect(await text(reader, 'a')).toBe('one');
    const { sink, reader: snapshot } = memorySnapshot();
    await provider.recoverable.snapshot(sink, call);
    for (let index = 0; index < 5; index += 1) await put(provider, 'a', `more ${index}`);
    await provider.compact(call);
    expect(await text(reader, 'a')).toBe('more 4');
    expect(await text(reader, 'a', '1')).toBe('one');
    await provider.recoverable.restore(snapshot, { inPlace: true }, call);
    await eventually(async () => (await text(reader, 'a')) === 'one');
    expect(seen).toContain(undefined);
    await put(reader, 'b', 'written by the reader');
    expect(await text(provider, 'b')).toBe('written by the reader');
    watch.abort();
    await watching;
    await reader.close?.(call);
  });

  it('is wrapped with another key while others read and write, and lets the old key go', async () => {
    const { provider } = vault;
    const next = rawKey(Buffer.alloc(32, 8));
    const reader = encryptedFile({ file, key: keyRing(key, [next]), reloadIntervalMs: 50 });
    await put(provider, 'a', 'one');
    await put(provider, 'a', 'two');
    await put(provider, 'b', 'gone');
    await provider.delete('b', { permanent: true }, call);
    expect(await text(reader, 'a')).toBe('two');
    const steps: string[] = [];
    const answer = await provider.rewrap({ to: next, onProgress: (done, of) => steps.push(`${done}/${of}`) }, call);
    expect(answer).toEqual({ values: 2, keyId: next.keyId });
    expect(steps).toEqual(['1/2', '2/2']);
    expect(await text(reader, 'a')).toBe('two');
    expect(await text(provider, 'a', '1')).toBe('one');
    await put(provider, 'c', 'sealed with the new key');
    await put(reader, 'd', 'by a process that still seals with the old one');
    expect((await provider.verify(call)).intact).toBe(true);

    const late = encryptedFile({ file, key });
    await expect(late.open?.(call)).rejects.toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
    await late.close?.(call);
    await provider.rewrap({ to: next }, call);
    const alone = encryptedFile({ file, key: next });
    expect(await contentOf(alone)).toEqual({
      a: 'two',
      c: 'sealed with the new key',
      d: 'by a process that still seals with the old one',
    });
    expect((await alone.verify(call)).intact).toBe(true);
    for (const other of [alone, reader]) await other.close?.(call);
  });

  it('stays as it was when rewrapping fails, and says which option is wrong', async () => {
    const { provider } = vault;
    await put(provider, 'a', 'one');
    const broken: KeyWrapper = {
      ...rawKey(Buffer.alloc(32, 9)),
      unwrap: () => Promise.reject(new Error('the key service is away')),
    };
    await expect(provider.rewrap({ to: broken }, call)).rejects.toThrow('the key service is away');
    await expect(provider.rewrap({ to: 'secret text' } as never, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      message: expect.not.stringContaining('secret text'),
    });
    const aborted = testCall();
    aborted.abort(new Error('enough'));
    await expect(provider.rewrap({ to: rawKey(Buffer.alloc(32, 8)) }, aborted)).rejects.toThrow('enough');
    await put(provider, 'a', 'two');
    const other = encryptedFile({ file, key });
    expect(await text(other, 'a')).toBe('two');
    await other.close?.(call);
  });

  it('lets several writers take turns without losing a write', async () => {
    const others = [1, 2, 3].map(() => encryptedFile({ file, key }));
    const writers = [vault.provider, ...others];
    await Promise.all(
      writers.flatMap((writer, who) => Array.from({ length: 10 }, (_, index) => put(writer, `w${who}/${index}`, 'x'))),
    );
    expect(Object.keys(await contentOf(vault.provider))).toHaveLength(40);
    for (const other of others) await other.close?.(call);
  });

  it('keeps values, paths and tags out of the file', async () => {
    const { readFile } = await import('node:fs/promises');
    const options = { token: 't', stages: ['current'], tags: { owner: 'tag-canary' } };
    await vault.provider.put('path-canary/x', Buffer.from('value-canary'), options, call);
    const bytes = await readFile(file, 'latin1');
    for (const canary of ['path-canary', 'value-canary', 'tag-canary']) expect(bytes).not.toContain(canary);
  });

  it('keeps the newest 100 versions and those with a stage', async () => {
    await vault.provider.put('many', Buffer.from('kept'), { token: 'first', stages: ['pending'] }, call);
    for (let index = 0; index < 110; index += 1) await put(vault.provider, 'many', `${index}`);
    const versions: string[] = [];
    for await (const { version } of vault.provider.listVersions('many', call)) versions.push(version);
    expect(versions).toHaveLength(100);
    expect(versions.at(-1)).toBe('1');
    expect(versions[0]).toBe('111');
  });

  it('refuses options by name', () => {
    expect(() => encryptedFile({ file: '', key })).toThrow(/file/);
    expect(() => encryptedFile({ file: 'x', key: {} as never })).toThrow(/keyFile\(\)/);
    expect(() => encryptedFile({ file: 'x', key, fsync: false } as never)).toThrow(/fsync/);
    expect(() => encryptedFile({ file: 'x', key, reloadIntervalMs: 1 })).toThrow(/reloadIntervalMs/);
  });

  it('refuses work after close', async () => {
    await put(vault.provider, 'a', 'x');
    await vault.provider.close?.(call);
    await expect(text(vault.provider, 'a')).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    await expect(put(vault.provider, 'a', 'y')).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });
});
