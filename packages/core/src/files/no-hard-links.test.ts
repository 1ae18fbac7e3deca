import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeFileOnce } from './atomic.js';
import { acquireFileLock } from './file-lock.js';

const answer = vi.hoisted(() => ({ code: 'EPERM' }));
vi.mock('node:fs/promises', async (load) => ({
  ...(await load<typeof import('node:fs/promises')>()),
  link: async () => Promise.reject(Object.assign(new Error('no links here'), { code: answer.code })),
}));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR'])(
  'a file system that answers %s to links',
  (code) => {
    beforeEach(() => {
      answer.code = code;
    });

    it('has a file made once, by whoever is first', async () => {
      const path = join(folder, 'a');
      const texts = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(10_000));
      const made = await Promise.all(texts.map((text) => writeFileOnce(path, text)));
      expect(made.filter(Boolean)).toHaveLength(1);
      expect(await readFile(path, 'utf8')).toBe(texts[made.indexOf(true)]);
      expect(await writeFileOnce(path, 'late')).toBe(false);
      expect(await readdir(folder)).toEqual(['a']);
    });

    it('makes it after a process that ended meanwhile', async () => {
      const path = join(folder, 'a');
      const gone = {
        pid: 2 ** 22 + 1,
        startTime: '1',
        bootId: 'before',
        host: 'h',
        namespace: '',
        purpose: '',
        sinceMs: 0,
      };
      const other = await acquireFileLock(join(folder, 'b.lock'));
      await writeFile(
        `${path}.lock`,
        JSON.stringify({
          ...other.owner,
          ...gone,
          host: other.owner.host,
          namespace: other.owner.namespace,
          token: 'x',
        }),
      );
      await other.release();
      expect(await writeFileOnce(path, 'one')).toBe(true);
      expect(await readdir(folder)).toEqual(['a']);
    });
  },
);

it('passes other failures of a link on', async () => {
  answer.code = 'EIO';
  await expect(writeFileOnce(join(folder, 'a'), 'x')).rejects.toMatchObject({
    code: 'MNOPS_CORE_STORAGE_FAILED',
    details: { reason: 'EIO' },
  });
  expect(await readdir(folder)).toEqual([]);
});
