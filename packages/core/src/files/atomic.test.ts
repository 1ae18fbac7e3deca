import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureFolder, writeFileAtomic, writeFileOnce } from './atomic.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('writeFileAtomic', () => {
  it('replaces the whole file, keeps its rights unless told, and leaves nothing else', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, 'one');
    expect([await readFile(path, 'utf8'), await modeOf(path)]).toEqual(['one', 0o600]);
    await chmod(path, 0o640);
    await writeFileAtomic(path, Buffer.from('two'));
    expect([await readFile(path, 'utf8'), await modeOf(path)]).toEqual(['two', 0o640]);
    await writeFileAtomic(path, 'three', { mode: 0o666 });
    expect(await modeOf(path)).toBe(0o666);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('leaves the old content and no remains when it fails', async () => {
    await ensureFolder(join(folder, 'taken', 'inside'));
    await expect(writeFileAtomic(join(folder, 'taken'), 'x')).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path: join(folder, 'taken') },
    });
    await expect(writeFileAtomic(join(folder, 'none', 'a'), 'x')).rejects.toMatchObject({
      details: { reason: 'ENOENT' },
    });
    expect(await readdir(folder)).toEqual(['taken']);
  });

  it('shows readers the old or the new content, never a mixture', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, 'x'.repeat(50_000));
    let done = false;
    const reading = (async () => {
      const seen = new Set<string>();
      while (!done) {
        const text = await readFile(path, 'utf8');
        seen.add(`${text.length} ${new Set(text).size}`);
      }
      return seen;
    })();
    for (let round = 0; round < 30; round++) await writeFileAtomic(path, (round % 2 === 0 ? 'y' : 'x').repeat(50_000));
    done = true;
    expect([...(await reading)]).toEqual(['50000 1']);
  });
});

describe('writeFileOnce', () => {
  it('makes a file once, whoever is first, and leaves nothing else', async () => {
    const path = join(folder, 'a');
    const made = await Promise.all(['one', 'two', 'six'].map((text) => writeFileOnce(path, text, { mode: 0o640 })));
    expect(made.filter(Boolean)).toHaveLength(1);
    const first = ['one', 'two', 'six'][made.indexOf(true)];
    expect([await readFile(path, 'utf8'), await modeOf(path)]).toEqual([first, 0o640]);
    expect(await writeFileOnce(path, 'late')).toBe(false);
    expect(await readFile(path, 'utf8')).toBe(first);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('says why there is no file', async () => {
    await expect(writeFileOnce(join(folder, 'none', 'a'), 'x')).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path: join(folder, 'none', 'a'), reason: 'ENOENT' },
    });
  });
});

describe('ensureFolder', () => {
  it.skipIf(process.platform !== 'linux')('ends with an error where a parent takes no folders', async () => {
    await expect(ensureFolder('/proc/absent/inside')).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path: '/proc/absent/inside', reason: 'ENOENT' },
    });
  });

  it('makes what is missing for the owner alone, and leaves what exists', async () => {
    const path = join(folder, 'a', 'b');
    await ensureFolder(path);
    await ensureFolder(path, { mode: 0o777 });
    expect([await modeOf(path), await modeOf(join(folder, 'a'))]).toEqual([0o700, 0o700]);
  });

  it('says which path cannot be made', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    for (const path of [file, join(file, 'below')]) {
      await expect(ensureFolder(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED', details: { path } });
    }
  });
});
