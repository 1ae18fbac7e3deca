import { execFileSync, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withoutRoot } from '@mnops/tooling/parts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../spi/object-store.js';
import { objectStoreContract } from '../testing/object-store-contract.js';
import { eventually, testCall } from '../testing/test-call.js';
import { pathOf } from './folder-layout.js';
import { folderStore } from './folder-store.js';

objectStoreContract({ describe, it }, 'folderStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-store-'));
  return { provider: folderStore({ folder }), close: () => rm(folder, { recursive: true, force: true }) };
});

async function text(store: ObjectStore, name: string): Promise<string | undefined> {
  const stored = await store.get(name, testCall());
  if (stored === undefined) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of stored.body) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function names(store: ObjectStore, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of store.list(prefix, testCall())) found.push(name);
  return found;
}

describe('pathOf', () => {
  it('leaves plain names as they are, so that other programs find them', () => {
    const name = 'data/ab/ab12cd-34_5.6=,+@/config';
    const { folders, file } = pathOf(name);
    expect([...folders, file].join('/')).toBe(name);
  });

  it('gives each name a path of its own that stays inside, on any file system', () => {
    const segment = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '.', '..', '%', '%_', 'A', 'a', 'x'.repeat(300)),
    );
    const name = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(name, name, (a, b) => {
        const paths = [a, b].map((text) => {
          const { folders, file } = pathOf(text);
          for (const part of [...folders, file]) {
            expect(part).toMatch(/^[a-z0-9%\-_=,+@][a-z0-9%\-_=,+@.]*$/);
            expect(part).not.toMatch(/\.$/);
            expect(part.length).toBeLessThanOrEqual(203);
          }
          return [...folders, file].join('/');
        });
        expect(paths[0] === paths[1]).toBe(a === b);
      }),
    );
  });
});

describe('folderStore', () => {
  let folder: string;
  let store: ObjectStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-store-'));
    store = folderStore({ folder });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const put = (name: string, body = name) => store.put(name, Buffer.from(body), testCall());

  it('keeps an object beside a folder of the same name, in whatever order they come', async () => {
    await put('a', 'one');
    await put('a/b', 'two');
    await put('a/b/c', 'three');
    await put('x/y', 'four');
    await put('x', 'five');
    await put('a', 'six');
    expect(await names(store)).toEqual(['a', 'a/b', 'a/b/c', 'x', 'x/y']);
    expect(await text(store, 'a')).toBe('six');
    expect(await text(store, 'a/b')).toBe('two');
    expect(await text(store, 'x')).toBe('five');
    await store.delete('a', testCall());
    expect(await names(store)).toEqual(['a/b', 'a/b/c', 'x', 'x/y']);
  });

  it('lists long segments among their neighbours in order', async () => {
    const long = 'l'.repeat(198);
    const all = [`${long}`, `${long}.x`, `${long}/y`, `${long}0`, `${long}a/b`, `${long}${'é'.repeat(150)}/z`, 'm'];
    for (const name of all) await put(name);
    const sorted = [...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await names(store)).toEqual(sorted);
    expect(await names(store, `${long}é`)).toEqual(sorted.filter((name) => name.startsWith(`${long}é`)));
    for (const name of all) expect(await text(store, name)).toBe(name);
  });

  it('lists any set of names in order and finds each', async () => {
    const name = fc.array(fc.constantFrom('a', 'b', 'A', '.', '/', '%', 'é', '😀', '-', '0'), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          name.map((parts) => parts.join('')),
          { maxLength: 12 },
        ),
        async (all) => {
          const inner = folderStore({ folder: await mkdtemp(join(folder, 'set-')) });
          for (const each of all) await inner.put(each, Buffer.from(each), testCall());
          const sorted = [...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          expect(await names(inner)).toEqual(sorted);
          for (const each of all) expect(await text(inner, each)).toBe(each);
          const prefix = [...(all[0] ?? '')].slice(0, 2).join('');
          expect(await names(inner, prefix)).toEqual(sorted.filter((each) => each.startsWith(prefix)));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('leaves nothing of failed puts, and removes what dead writers left', async () => {
    const temporaries = join(folder, '.mnops/tmp');
    await put('a');
    await expect(store.put('a', Buffer.from('x'), { ...testCall(), ifAbsent: true })).rejects.toThrow();
    expect(await readdir(temporaries)).toEqual([]);
    for (const [name, age] of [
      ['old', 90_000],
      ['new', 10],
    ] as const) {
      await writeFile(join(temporaries, name), '');
      const then = Date.now() / 1_000 - age;
      await utimes(join(temporaries, name), then, then);
    }
    await folderStore({ folder }).put('b', Buffer.from('x'), testCall());
    expect(await readdir(temporaries)).toEqual(['new']);
    expect(await readdir(join(folder, '.mnops/locks'))).toEqual([]);
    expect(await names(store)).toEqual(['a', 'b']);
  });

  it('does not show or follow what others put there', async () => {
    await put('a/b');
    await writeFile(join(folder, 'FOREIGN.txt'), 'x');
    await writeFile(join(folder, '.hidden'), 'x');
    await writeFile(join(folder, 'outside-target'), 'secret');
    await symlink(join(folder, 'outside-target'), join(folder, 'a', 'link'));
    expect(await names(store)).toEqual(['a/b', 'outside-target']);
    expect(await store.get('a/link', testCall())).toBeUndefined();
    expect(await store.head('a/link', testCall())).toBeUndefined();
    expect(await names(folderStore({ folder: join(folder, 'absent') }))).toEqual([]);
    await store.delete('a/link/x', testCall());
  });

  it("says what stands in the way: a folder in an object's other place, a file where it lists", async () => {
    await put('a/b');
    await mkdir(join(folder, 'a%'));
    const failed = { code: 'MNOPS_CORE_STORAGE_FAILED' };
    await expect(put('a')).rejects.toMatchObject(failed);
    await store.delete('a', testCall());
    expect(await names(store)).toEqual(['a/b']);
    const deep = join(folder, 'x'.repeat(250));
    await writeFile(deep, '');
    expect(await names(folderStore({ folder: deep }))).toEqual([]);
    const tooLong = folderStore({ folder: join(folder, 'y'.repeat(300)) });
    await expect(names(tooLong)).rejects.toMatchObject(failed);
    await expect(tooLong.head('a', testCall())).rejects.toMatchObject(failed);
    await expect(tooLong.get('a', testCall())).rejects.toMatchObject(failed);
    await expect(tooLong.put('a', Buffer.from('x'), testCall())).rejects.toMatchObject(failed);
  });

  it('keeps files private', async () => {
    await put('a/b');
    expect((await stat(join(folder, 'a/b'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700);
    expect(await readFile(join(folder, 'a/b'), 'utf8')).toBe('a/b');
  });

  it('changes the etag with each put, even of the same bytes within one tick', async () => {
    const etags = new Set<string>();
    for (let round = 0; round < 50; round += 1) etags.add((await put('a', 'same')).etag);
    expect(etags.size).toBe(50);
  });

  it('reads large objects in pieces, also in ranges, and says when a file was cut', async () => {
    const bytes = Buffer.alloc(1_000_000, 'abcdefgh');
    await store.put('large', bytes, testCall());
    const part = await store.get('large', { ...testCall(), range: { start: 100_001, end: 700_003 } });
    const parts: Uint8Array[] = [];
    for await (const piece of part?.body ?? []) parts.push(piece);
    expect(Buffer.concat(parts).equals(bytes.subarray(100_001, 700_003))).toBe(true);
    const cut = await store.get('large', testCall());
    execFileSync('truncate', ['-s', '300000', join(folder, 'large')]);
    await expect(
      (async () => {
        for await (const _ of cut?.body ?? []);
      })(),
    ).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
  });

  it('says what the file system refuses, with the path', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const below = folderStore({ folder: file });
    const failed = { code: 'MNOPS_CORE_STORAGE_FAILED' };
    await expect(below.put('a', Buffer.from('x'), testCall())).rejects.toMatchObject(failed);
    await rm(file);
    expect((await below.put('a', Buffer.from('x'), testCall())).size).toBe(1);
    expect(() => folderStore({ folder: '' })).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
    expect(() => folderStore({} as never)).toThrow(/folder/);
  });

  it.skipIf(process.platform === 'win32')('says that a folder is read-only', async () => {
    await put('a/b');
    await chmod(join(folder, 'a'), 0o500);
    await withoutRoot(folder, async () => {
      await expect(put('a/c')).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    });
    await chmod(join(folder, 'a'), 0o700);
  });

  it('fails when its folder vanishes in the middle, and not for ever', async () => {
    await put('a');
    async function* vanishing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await rename(folder, `${folder}-gone`);
      await mkdir(folder);
    }
    await expect(store.put('b', vanishing(), testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    await rm(`${folder}-gone`, { recursive: true });
    expect(await folderStore({ folder }).head('a', testCall())).toBeUndefined();
  });
});

describe('folderStore between processes', () => {
  it('loses no update made on a matching etag, and creates each object once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-store-'));
    const child = join(import.meta.dirname, 'fixtures/store-racer.ts');
    const racers = [1, 2, 3].map((id) => {
      const racer = fork(child, [folder, `${id}`, '20'], {
        execArgv: ['--conditions=@mnops/source', '--import', 'tsx'],
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      });
      let created = '';
      racer.stdout?.on('data', (chunk: Buffer) => {
        created += chunk.toString();
      });
      return new Promise<string>((resolve) => racer.once('close', (code) => resolve(`${code} ${created}`)));
    });
    const results = await Promise.all(racers);
    const store = folderStore({ folder });
    expect(await text(store, 'counter')).toBe('60');
    const created = results.map((result) => Number(result.split(' ')[1]));
    expect(results.every((result) => result.startsWith('0 '))).toBe(true);
    expect(created.reduce((sum, count) => sum + count, 0)).toBe(20);
    expect(existsSync(join(folder, '.mnops/tmp'))).toBe(true);
    expect(await readdir(join(folder, '.mnops/tmp'))).toEqual([]);
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps what it acknowledged and nothing half, however often its writer is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-store-'));
    const child = join(import.meta.dirname, 'fixtures/store-writer.ts');
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const writer = fork(child, [folder], { execArgv: ['--conditions=@mnops/source', '--import', 'tsx'] });
      const before = acknowledged.length;
      writer.on('message', (hash) => void acknowledged.push(String(hash)));
      await eventually(() => acknowledged.length > before + 2, { timeoutMs: 20_000 });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
      writer.kill('SIGKILL');
      await new Promise((resolve) => writer.once('close', resolve));
    }
    const store = folderStore({ folder });
    const stored = new Set<string>();
    for (const name of await names(store, 'object/')) {
      const bytes = await readFile(join(folder, name));
      const hash = createHash('sha256').update(bytes).digest('hex');
      expect(name).toBe(`object/${hash}`);
      stored.add(hash);
    }
    expect(acknowledged.filter((hash) => !stored.has(hash))).toEqual([]);
    expect(stored.has((await text(store, 'latest')) ?? '')).toBe(true);
    await store.put('latest', Buffer.from('free again'), testCall());
    await rm(folder, { recursive: true, force: true });
  });
});
