import { chmod, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SecretProvider } from '@mnops/core/spi';
import { eventually, secretProviderContract, testCall } from '@mnops/core/testing';
import { withoutRoot } from '@mnops/tooling/parts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { mountedFiles } from './index.js';

let base: string;
let folder: string;
const open: SecretProvider[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'mounted-'));
  folder = join(base, 'secrets');
  await mkdir(folder);
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close?.(testCall());
  await rm(base, { recursive: true, force: true });
});

function provider(options: Partial<Parameters<typeof mountedFiles>[0]> = {}): SecretProvider {
  const made = mountedFiles({ folder, ...options });
  open.push(made);
  return made;
}

async function put(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(folder, file)), { recursive: true });
  await writeFile(join(folder, file), content);
}

async function text(from: SecretProvider, path: string): Promise<string | undefined> {
  const stored = await from.get(path, {}, testCall());
  return stored === undefined ? undefined : Buffer.from(stored.value).toString();
}

async function listed(from: SecretProvider, prefix = ''): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of from.list(prefix, testCall())) paths.push(path);
  return paths;
}

/** What Kubernetes does: a new folder, a link to it that takes the place of the old one, the old folder goes. */
async function exchange(
  name: string,
  before: string | undefined,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [file, content] of Object.entries(files)) await put(join(name, file), content);
  await symlink(name, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const file of Object.keys(files)) {
    const [top = file] = file.split('/');
    await symlink(join('..data', top), join(folder, top)).catch(() => undefined);
  }
  if (before !== undefined) await rm(join(folder, before), { recursive: true });
}

secretProviderContract({ describe, it }, 'mounted files', async () => {
  const own = await mkdtemp(join(tmpdir(), 'mounted-contract-'));
  return {
    provider: mountedFiles({ folder: own }),
    seed: async (path, value) => {
      await mkdir(dirname(join(own, path)), { recursive: true });
      await writeFile(join(own, path), value);
    },
    close: () => rm(own, { recursive: true }),
  };
});

describe('mountedFiles', () => {
  it('follows the exchange of a whole set of files, and tells what changed', async () => {
    await exchange('..2026_01', undefined, { 'db-password': 'one', same: 'same', 'tls/key': 'k1' });
    const secrets = new SecretsManager({ provider: provider({ pollMs: 20 }), cache: { ttlMs: 3_600_000 } });
    const changed: (string | undefined)[] = [];
    secrets.on('secret:changed', ({ path }) => changed.push(path));
    const handle = secrets.handle('db-password');
    expect((await handle.ready()).reveal()).toBe('one');
    expect(await listed(open[0] as SecretProvider)).toEqual(['db-password', 'same', 'tls/key']);
    await exchange('..2026_02', '..2026_01', { 'db-password': 'two', same: 'same', 'tls/key': 'k2' });
    await eventually(() => handle.current.reveal() === 'two' && changed.includes('tls/key'));
    expect((await secrets.getOrThrow('tls/key')).reveal()).toBe('k2');
    expect(changed).not.toContain('same');
    await unlink(join(folder, 'same'));
    await eventually(() => changed.includes('same'));
    expect(await secrets.get('same')).toBeUndefined();
    await secrets.stop();
  });

  it('reads one whole set or the other while sets are exchanged', async () => {
    await exchange('..0', undefined, { a: 'v0' });
    const from = provider();
    let done = false;
    const exchanging = (async () => {
      for (let at = 1; at <= 60; at += 1) await exchange(`..${at}`, `..${at - 1}`, { a: `v${at}` });
      done = true;
    })();
    let reads = 0;
    while (!done) {
      expect(await text(from, 'a')).toMatch(/^v\d+$/);
      reads += 1;
    }
    await exchanging;
    expect(reads).toBeGreaterThan(0);
    expect(await text(from, 'a')).toBe('v60');
  });

  it('lists each file once where links lead back to the folder that they are in', async () => {
    await mkdir(join(folder, 'x'));
    await mkdir(join(folder, 'y'));
    await writeFile(join(folder, 'x', 'a'), '1');
    for (const name of ['l1', 'l2', 'l3']) await symlink('.', join(folder, 'x', name));
    await symlink('../y', join(folder, 'x', 'other'));
    await symlink('../x', join(folder, 'y', 'back'));
    expect(await listed(provider())).toEqual(['x/a', 'y/back/a']);
  });

  it('does not see the folders by which sets are exchanged', async () => {
    await exchange('..2026_01', undefined, { a: 'x' });
    const from = provider();
    for (const path of ['..data/a', '..2026_01/a', '..data']) expect(await text(from, path)).toBeUndefined();
    expect(await listed(from)).toEqual(['a']);
  });

  it('refuses links that lead out of the folder, and does not list them', async () => {
    await writeFile(join(base, 'outside'), 'hunter2');
    await mkdir(join(base, 'secrets-of-others'));
    await writeFile(join(base, 'secrets-of-others', 'x'), 'hunter2');
    await symlink(join(base, 'outside'), join(folder, 'file'));
    await symlink('../secrets-of-others', join(folder, 'folder'));
    await symlink('loop', join(folder, 'loop'));
    await symlink('.', join(folder, 'self'));
    await put('inside', 'x');
    await symlink('inside', join(folder, 'alias'));
    const from = provider();
    for (const path of ['file', 'folder/x']) {
      await expect(text(from, path)).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED', details: { path } });
    }
    await expect(text(from, 'loop')).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    expect(await text(from, 'alias')).toBe('x');
    expect(await listed(from)).toEqual(['alias', 'inside']);
    const linked = mountedFiles({ folder: join(folder, 'folder') });
    expect(await text(linked, 'x')).toBe('hunter2');
  });

  it('keeps or trims one line end, whatever it is', async () => {
    const files = { a: 'x\n', b: 'x\r\n', c: 'x\n\n', d: '\n', e: 'x', f: '\uFEFFx\r', g: '' };
    for (const [file, content] of Object.entries(files)) await put(file, content);
    const kept = provider();
    const trimmed = provider({ trailingNewline: 'trim' });
    for (const [file, content] of Object.entries(files)) expect(await text(kept, file)).toBe(content);
    const texts = await Promise.all(Object.keys(files).map((file) => text(trimmed, file)));
    expect(texts).toEqual(['x', 'x', 'x\n', '', 'x', '\uFEFFx\r', '']);
    const stored = await trimmed.get('a', {}, testCall());
    expect((await trimmed.describe('a', testCall()))?.version).toBe(stored?.version);
  });

  it('takes a file of the largest size and refuses one byte more', async () => {
    await put('fits', Buffer.alloc(100, 1));
    await put('over', Buffer.alloc(101, 1));
    const from = provider({ maxValueBytes: 100 });
    expect((await from.get('fits', {}, testCall()))?.value.length).toBe(100);
    await expect(from.get('over', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_TOO_LARGE',
      details: { path: 'over', maxValueBytes: 100 },
    });
    expect(await listed(from)).toEqual(['fits', 'over']);
  });

  it('takes a folder for no secret, and a path below a file for none', async () => {
    await put('db/password', 'x');
    const from = provider();
    for (const path of ['db', 'db/password/x', 'x'.repeat(300)]) expect(await text(from, path)).toBeUndefined();
  });

  it('says that a folder is missing, and works once it is there', async () => {
    const from = provider({ folder: join(base, 'later') });
    await expect(from.open?.(testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    await expect(text(from, 'a')).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    await mkdir(join(base, 'later'));
    await writeFile(join(base, 'later', 'a'), 'x');
    expect(await text(from, 'a')).toBe('x');
  });

  it.skipIf(process.platform === 'win32')('says which file it may not read, and lists it all the same', async () => {
    await put('a', 'x');
    await put('b', 'y');
    await chmod(join(folder, 'a'), 0o000);
    const from = provider();
    await withoutRoot(base, async () => {
      await expect(text(from, 'a')).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
      expect(await text(from, 'b')).toBe('y');
      expect(await listed(from)).toEqual(['a', 'b']);
    });
  });

  it('refuses options by field', () => {
    for (const wrong of [{}, { folder: '' }, { folder: 'x', trailingNewline: 'strip' }, { folder: 'x', poll: 1 }]) {
      expect(() => mountedFiles(wrong as { folder: string })).toThrow(
        expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }),
      );
    }
  });
});
