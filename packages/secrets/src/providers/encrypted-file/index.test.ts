import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rawKey } from '@mnops/core/crypto';
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
