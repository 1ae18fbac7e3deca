import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySnapshot } from './memory-snapshot.js';

async function* bytes(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

describe('memorySnapshot', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-snapshot-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('keeps a tree with modes, links and empty folders, and writes it back', async () => {
    const source = join(folder, 'source');
    await mkdir(join(source, 'a', 'empty'), { recursive: true });
    await writeFile(join(source, 'a', 'file.txt'), 'text');
    await chmod(join(source, 'a', 'file.txt'), 0o640);
    await writeFile(join(source, 'skipped'), '');
    await symlink('file.txt', join(source, 'a', 'link'));

    const { sink, reader, files } = memorySnapshot();
    await sink.addTree(source, { at: 'place', include: (path) => path !== 'skipped' });
    await sink.addStream({ path: 'stream.bin', mode: 0o600, size: 6 }, bytes('abc', 'def'));
    expect([...files.keys()]).toEqual(['place/a/file.txt', 'stream.bin']);

    const all = join(folder, 'all');
    await reader.restoreTree(all);
    expect(await readFile(join(all, 'place/a/file.txt'), 'utf8')).toBe('text');
    expect((await lstat(join(all, 'place/a/file.txt'))).mode & 0o777).toBe(0o640);
    expect(await readlink(join(all, 'place/a/link'))).toBe('file.txt');
    expect((await lstat(join(all, 'place/a/empty'))).isDirectory()).toBe(true);
    expect(await readFile(join(all, 'stream.bin'), 'utf8')).toBe('abcdef');

    const part = join(folder, 'part');
    await reader.restoreTree(part, { from: 'place/a' });
    expect(await readFile(join(part, 'file.txt'), 'utf8')).toBe('text');
    await expect(lstat(join(part, 'stream.bin'))).rejects.toThrow(/ENOENT/);
  });

  it('lists entries by the bytes of their paths and reads each', async () => {
    const { sink, reader } = memorySnapshot();
    for (const path of ['b', 'a/b', 'a.b', 'é']) await sink.addStream({ path, modifiedMs: 7 }, bytes(path));
    const entries = [];
    for await (const entry of reader.entries()) entries.push(entry);
    expect(entries.map((entry) => entry.path)).toEqual(['a.b', 'a/b', 'b', 'é']);
    expect(entries[0]).toMatchObject({ size: 3, modifiedMs: 7 });
    let text = '';
    for await (const chunk of reader.read('a/b')) text += Buffer.from(chunk).toString();
    expect(text).toBe('a/b');
  });

  it('refuses paths that leave the snapshot, wrong sizes and unknown files', async () => {
    const { sink, reader } = memorySnapshot();
    for (const path of ['../x', 'a//b', '', '/abs', './a']) {
      await expect(sink.addStream({ path }, bytes('x'))).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    }
    await expect(sink.addTree(folder, { at: '..' })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    await expect(sink.addStream({ path: 'a', size: 2 }, bytes('x'))).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFLICT',
    });
    await expect(reader.read('a')[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'MNOPS_CORE_NOT_FOUND',
    });
  });
});
