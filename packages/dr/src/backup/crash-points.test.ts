import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { testCall } from '@mnops/core/testing';
import { partSuite } from '@mnops/tooling/parts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discard, noise, passphrase, restic, scratch } from '../../prove/repository-kit.js';
import { selectPoint } from '../points.js';
import { Repository } from '../repository/repository.js';
import { runRestore } from '../restore/run-restore.js';
import { files } from '../sources/files.js';
import { type BackupOutcome, runBackup } from './run-backup.js';

let base = '';
const clock = { ...systemClock(), sleep: async () => undefined };

beforeEach(() => {
  base = scratch();
});
afterEach(() => discard(base));

async function backup(repository: Repository): Promise<BackupOutcome> {
  const sources = [files(join(base, 'data'))];
  const call = testCall();
  return await runBackup({
    repository,
    sources,
    tags: [],
    ownFolders: [],
    allowPartial: false,
    clock,
    call,
    onProgress: () => undefined,
  });
}

async function restored(folder: string, into: string): Promise<string> {
  const repository = await Repository.open({ folder, passphrase, clock });
  const selected = selectPoint(repository, 'latest');
  const result = await runRestore({
    repository,
    selected,
    sources: ['data'],
    recoverables: new Map(),
    target: { folder: into },
    verify: true,
    allowPartial: false,
    call: testCall(),
    onProgress: () => undefined,
  });
  repository.close();
  expect(result.state).toBe('exact');
  return readFileSync(join(into, 'data', 'state'), 'utf8');
}

partSuite({ describe, it }, 'restic', 'a backup that ends at any of its writes', () => {
  it('leaves the older point whole and the repository clean, and the next backup is complete', async () => {
    mkdirSync(join(base, 'data'));
    writeFileSync(join(base, 'data', 'state'), 'old');
    writeFileSync(join(base, 'data', 'large'), noise(2_500_000, 'old'));
    const pristine = join(base, 'pristine');
    const scryptCost = { N: 1024, r: 8, p: 1 };
    await backup(await Repository.create({ folder: pristine, passphrase, clock, scryptCost }));
    writeFileSync(join(base, 'data', 'state'), 'new');
    writeFileSync(join(base, 'data', 'more'), noise(2_500_000, 'new'));

    let points = 0;
    for (let writes = 0; ; writes++) {
      const folder = join(base, `trial-${writes}`);
      cpSync(pristine, folder, { recursive: true });
      const repository = await Repository.open({ folder, passphrase, clock });
      let left = writes;
      const write = repository.folder.write.bind(repository.folder);
      repository.folder.write = async (name, bytes) => {
        if (left-- <= 0) throw Object.assign(new Error('the process is gone'), { code: 'GONE' });
        await write(name, bytes);
      };
      // The dead do not clean up either.
      repository.folder.remove = async () => undefined;
      const done = await backup(repository).then(
        () => true,
        () => false,
      );
      repository.close();
      expect(await restored(folder, join(base, `out-${writes}`))).toBe(done ? 'new' : 'old');
      expect(restic(folder, ['--no-lock', 'check', '--read-data'])).toContain('no errors were found');
      const next = await Repository.open({ folder, passphrase, clock });
      await backup(next);
      next.close();
      expect(await restored(folder, join(base, `next-${writes}`))).toBe('new');
      points += 1;
      if (done) break;
    }
    // Lock, data pack, tree pack, index, snapshot.
    expect(points).toBeGreaterThanOrEqual(6);
  });
});
