import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { partSuite } from '@mnops/tooling/parts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeTree, discard, makeTree, noise, passphrase, restic, scratch } from '../prove/repository-kit.js';
import { DisasterRecoveryManager, files } from './index.js';

let folder = '';
const managers: DisasterRecoveryManager[] = [];

function manager(
  options: Partial<ConstructorParameters<typeof DisasterRecoveryManager>[0]> = {},
): DisasterRecoveryManager {
  const made = new DisasterRecoveryManager({
    service: 'test',
    key: passphrase,
    sources: [files(join(folder, 'data'))],
    folder: join(folder, 'dr'),
    ...options,
  });
  managers.push(made);
  return made;
}

const repository = (): string => join(folder, 'dr', 'repository');

beforeEach(() => {
  folder = scratch();
  mkdirSync(join(folder, 'data'));
});

afterEach(async () => {
  for (const made of managers.splice(0)) await made.stop();
  discard(folder);
});

describe('backup and restore', () => {
  it('leaves holes where a file holds nothing but zeros', async () => {
    const sparse = join(folder, 'data', 'disk.img');
    const descriptor = openSync(sparse, 'w');
    ftruncateSync(descriptor, 48 * 1_024 * 1_024);
    writeSync(descriptor, noise(100_000, 'island'), 0, 100_000, 20 * 1_024 * 1_024);
    closeSync(descriptor);
    const dr = manager();
    await dr.backup();
    await dr.restore({ target: { folder: join(folder, 'restored') } });
    const restored = join(folder, 'restored', 'data', 'disk.img');
    expect(readFileSync(restored).equals(readFileSync(sparse))).toBe(true);
    // File systems without holes show as many blocks as before.
    const blocks = statSync(sparse).blocks;
    if (blocks < 10_000) expect(statSync(restored).blocks).toBeLessThan(10_000);
  });

  it('brings everything back as it was, and lists path, size and hash of what it read', async () => {
    makeTree(join(folder, 'data'));
    const dr = manager();
    const result = await dr.backup({ tags: ['first'] });
    expect(result.state).toBe('committed');
    expect(result.point).toMatchObject({ sources: ['data'], tags: ['first'], partial: false });
    expect(result.files.find(({ path }) => path === 'data/hello.txt')).toEqual({
      path: 'data/hello.txt',
      size: 6,
      sha256: '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
      read: true,
    });
    const restored = await dr.restore({ target: { folder: join(folder, 'back') } });
    expect(restored).toMatchObject({ state: 'exact', damaged: [], verifiedFiles: result.files.length });
    expect(restored.files.map(({ path }) => path).sort()).toEqual(result.files.map(({ path }) => path).sort());
    expect(describeTree(join(folder, 'back', 'data'))).toEqual(describeTree(join(folder, 'data')));
  });

  it('reads only what changed, and stores nothing twice', async () => {
    makeTree(join(folder, 'data'));
    const dr = manager();
    const first = await dr.backup();
    await new Promise((resolve) => setTimeout(resolve, 60)); // file times are compared with the start of the last backup
    await dr.backup();
    const second = await dr.backup();
    expect(second.readBytes).toBe(0);
    expect(second.files.map(({ path, sha256 }) => [path, sha256])).toEqual(
      first.files.map(({ path, sha256 }) => [path, sha256]),
    );
    writeFileSync(join(folder, 'data', 'hello.txt'), 'changed');
    writeFileSync(join(folder, 'data', 'copy.bin'), readFileSync(join(folder, 'data', 'deep', 'er', 'large.bin')));
    rmSync(join(folder, 'data', 'secret'));
    const third = await dr.backup();
    expect(third.files.filter(({ read }) => read).map(({ path }) => path)).toEqual([
      'data/copy.bin',
      'data/deep/same-inode',
      'data/hello.txt',
    ]);
    expect(third.storedBytes).toBeLessThan(100_000);
    expect(third.files.some(({ path }) => path === 'data/secret')).toBe(false);
    await dr.restore({ target: { folder: join(folder, 'old') }, point: { id: first.point?.id ?? '' } });
    expect(readFileSync(join(folder, 'old', 'data', 'hello.txt'), 'utf8')).toBe('hello\n');
    await dr.restore({ target: { folder: join(folder, 'new') } });
    expect(describeTree(join(folder, 'new', 'data'))).toEqual(describeTree(join(folder, 'data')));
  });

  it('restores in place by exchange', async () => {
    makeTree(join(folder, 'data'));
    const before = describeTree(join(folder, 'data'));
    const dr = manager();
    await dr.backup();
    rmSync(join(folder, 'data', 'deep'), { recursive: true });
    writeFileSync(join(folder, 'data', 'hello.txt'), 'overwritten');
    const restored = await dr.restore({ target: { inPlace: true } });
    expect(restored.state).toBe('exact');
    expect(describeTree(join(folder, 'data'))).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(['data', 'dr']);
    rmSync(join(folder, 'data'), { recursive: true });
    await dr.restore({ target: { inPlace: true } });
    expect(describeTree(join(folder, 'data'))).toEqual(before);
  });

  it('refuses a target that holds something, and sources it does not know', async () => {
    writeFileSync(join(folder, 'data', 'a'), 'a');
    const dr = manager();
    await dr.backup();
    mkdirSync(join(folder, 'full', 'data'), { recursive: true });
    writeFileSync(join(folder, 'full', 'data', 'there'), '');
    await expect(dr.restore({ target: { folder: join(folder, 'full') } })).rejects.toMatchObject({
      code: 'MNOPS_DR_TARGET_NOT_EMPTY',
    });
    expect(readdirSync(join(folder, 'full', 'data'))).toEqual(['there']);
    await expect(dr.restore({ target: { folder: join(folder, 'x') }, sources: ['nope'] })).rejects.toMatchObject({
      code: 'MNOPS_DR_POINT_NOT_FOUND',
    });
    await expect(
      dr.restore({ target: { folder: join(folder, 'x') }, point: { id: 'abcdef0123' } }),
    ).rejects.toMatchObject({ code: 'MNOPS_DR_POINT_NOT_FOUND' });
    await expect(dr.backup({ sources: ['nope'] })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
  });

  it('makes no point when something cannot be read, unless that is accepted', async () => {
    writeFileSync(join(folder, 'data', 'a'), 'a');
    const dr = manager({ sources: [files(join(folder, 'data')), files(join(folder, 'missing'))] });
    const failure = await dr.backup().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'MNOPS_DR_BACKUP_INCOMPLETE' });
    expect((failure as Error).message).toContain(`missing (Cannot back up ${join(folder, 'missing')}: ENOENT)`);
    expect((failure as { details: { result: unknown } }).details.result).toMatchObject({
      state: 'discarded',
      sources: [
        { id: 'data', state: 'complete' },
        { id: 'missing', state: 'failed' },
      ],
    });
    const points = [];
    for await (const point of dr.recoveryPoints()) points.push(point);
    expect(points).toEqual([]);
    const partial = await dr.backup({ allowPartial: true });
    expect(partial).toMatchObject({ state: 'partial', point: { sources: ['data'], partial: true } });
    await expect(dr.restore({ target: { folder: join(folder, 'x') } })).rejects.toMatchObject({
      code: 'MNOPS_DR_POINT_NOT_FOUND',
    });
    await dr.restore({ target: { folder: join(folder, 'x') }, point: { id: partial.point?.id ?? '' } });
    expect(readFileSync(join(folder, 'x', 'data', 'a'), 'utf8')).toBe('a');
  });

  it('tells a wrong key, a damaged key file, a foreign folder and an empty passphrase apart', async () => {
    await manager().start();
    await expect(manager({ key: 'wrong' }).start()).rejects.toMatchObject({ code: 'MNOPS_DR_WRONG_KEY' });
    await expect(manager({ key: () => '' }).start()).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    const [name = ''] = readdirSync(join(repository(), 'keys'));
    for (const path of [join(repository(), 'keys', name), join(repository(), 'mnops', 'keys', name)]) {
      const bytes = readFileSync(path);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      chmodSync(path, 0o600);
      writeFileSync(path, bytes);
    }
    await expect(manager().start()).rejects.toMatchObject({ code: 'MNOPS_DR_KEY_FILE_DAMAGED' });
    await expect(manager({ repository: { folder: join(folder) } }).start()).rejects.toMatchObject({
      code: 'MNOPS_DR_REPOSITORY_UNSUPPORTED',
    });
  });

  it('can be stopped in the middle of a backup, which then changes nothing', async () => {
    writeFileSync(join(folder, 'data', 'large'), noise(20_000_000, 'stop'));
    const dr = manager();
    await dr.start();
    const running = dr.backup();
    const failed = expect(running).rejects.toMatchObject({ code: 'MNOPS_CORE_ABORTED' });
    await dr.stop({ graceMs: 20 });
    await failed;
    expect(readdirSync(join(repository(), 'locks'))).toEqual([]);
    expect(readdirSync(join(repository(), 'snapshots'))).toEqual([]);
    await expect(dr.backup()).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });
});

partSuite({ describe, it }, 'restic', 'restic as judge', () => {
  it('checks and restores what MNOps wrote, and goes on with it', async () => {
    makeTree(join(folder, 'data'));
    const dr = manager();
    await dr.backup();
    expect(restic(repository(), ['check', '--read-data'])).toContain('no errors were found');
    restic(repository(), ['restore', 'latest', '--target', join(folder, 'by-restic')]);
    expect(describeTree(join(folder, 'by-restic', 'data'))).toEqual(describeTree(join(folder, 'data')));
    writeFileSync(join(folder, 'data', 'more'), noise(2_000_000, 'more'));
    restic(repository(), ['backup', 'data'], { cwd: folder });
    await dr.backup();
    expect(restic(repository(), ['check', '--read-data', '--check-unused'])).toContain('no errors were found');
    expect(readdirSync(join(repository(), 'locks'))).toEqual([]);
  });

  it('is read by MNOps: compressed content, links, modes and times', async () => {
    makeTree(join(folder, 'data'));
    const path = join(folder, 'theirs');
    restic(path, ['init']);
    restic(path, ['backup', '--compression', 'max', 'data'], { cwd: folder });
    writeFileSync(join(folder, 'data', 'hello.txt'), 'second');
    restic(path, ['backup', 'data'], { cwd: folder });
    const dr = manager({ repository: { folder: path }, sources: [] });
    const points = [];
    for await (const point of dr.recoveryPoints()) points.push(point);
    expect(points.length).toBe(2);
    const result = await dr.restore({ target: { folder: join(folder, 'ours') } });
    expect(result.state).toBe('exact');
    expect(describeTree(join(folder, 'ours', 'data'))).toEqual(describeTree(join(folder, 'data')));
    expect((await dr.validate({ depth: 'full' })).state).toBe('intact');
  });
});
