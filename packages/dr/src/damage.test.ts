import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flipCampaign } from '../prove/flip-campaign.js';
import { discard, noise, passphrase, scratch } from '../prove/repository-kit.js';
import { DisasterRecoveryManager, files } from './index.js';

let folder = '';

beforeAll(() => {
  folder = scratch();
});

afterAll(() => discard(folder));

function manager(name: string): DisasterRecoveryManager {
  return new DisasterRecoveryManager({
    key: passphrase,
    sources: [files(join(folder, name, 'data'))],
    folder: join(folder, name, 'dr'),
    audit: false,
  });
}

/** A repository with one point of three files in two folders, which share nothing. */
async function prepare(name: string): Promise<{ readonly dr: DisasterRecoveryManager; readonly repository: string }> {
  mkdirSync(join(folder, name, 'data', 'sub'), { recursive: true });
  for (const path of ['one', 'two', 'sub/three']) {
    writeFileSync(join(folder, name, 'data', path), noise(40_000, path));
  }
  const dr = manager(name);
  await dr.backup();
  return { dr, repository: join(folder, name, 'dr', 'repository') };
}

/** Packs by size, the data pack first. */
function packs(repository: string): string[] {
  const paths = readdirSync(join(repository, 'data'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(repository, 'data', name))
    .filter((path) => statSync(path).isFile());
  return paths.sort((a, b) => statSync(b).size - statSync(a).size);
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

describe('damage', () => {
  it('costs only the file whose blob it is, which is named; the next backup heals it', async () => {
    const { dr, repository } = await prepare('blob');
    flip(packs(repository)[0] ?? '', 50_000);
    const found = await dr.validate({ depth: 'full' });
    expect(found.state).toBe('damaged');
    expect(found.damagedPaths.length).toBe(1);
    const [damaged = { path: '' }] = found.damagedPaths;
    expect(dr.status).toBe('degraded');
    expect((await dr.health()).status).toBe('degraded');

    const failure = (await dr
      .restore({ target: { folder: join(folder, 'blob', 'out') } })
      .catch((e: unknown) => e)) as {
      code: string;
      details: { result: { damaged: { path: string }[]; files: unknown[] } };
    };
    expect(failure.code).toBe('MNOPS_DR_RESTORE_INCOMPLETE');
    expect(failure.details.result.damaged.map(({ path }) => path)).toEqual([damaged.path]);
    expect(failure.details.result.files.length).toBe(2);

    const healed = await dr.backup();
    expect(healed.files.filter(({ read }) => read).length).toBeGreaterThanOrEqual(1);
    const restored = await dr.restore({ target: { folder: join(folder, 'blob', 'healed') } });
    expect(restored.state).toBe('exact');
    await dr.stop();
  });

  it('leaves the live data alone when a point is damaged', async () => {
    const { dr, repository } = await prepare('live');
    flip(packs(repository)[0] ?? '', 100);
    writeFileSync(join(folder, 'live', 'data', 'one'), 'live');
    await expect(dr.restore({ target: { inPlace: true } })).rejects.toMatchObject({
      code: 'MNOPS_DR_RESTORE_INCOMPLETE',
    });
    expect(readFileSync(join(folder, 'live', 'data', 'one'), 'utf8')).toBe('live');
    expect(readdirSync(join(folder, 'live')).sort()).toEqual(['data', 'dr']);
    await dr.stop();
  });

  it('names every file below a folder whose list is lost', async () => {
    const { dr, repository } = await prepare('tree');
    const [, trees = ''] = packs(repository);
    const lost = new Set<string>();
    // The first tree of the pack is that of `sub`: folders are stored from the leaves up.
    flip(trees, 40);
    const result = await dr.restore({ target: { folder: join(folder, 'tree', 'out') }, allowPartial: true });
    for (const { path } of result.damaged) lost.add(path);
    expect(lost).toContain('data/sub/three');
    expect(result.files.map(({ path }) => path).sort()).toEqual(['data/one', 'data/two']);
    await dr.stop();
  });

  it('works without index files, and without one of two key files or the config', async () => {
    const { dr, repository } = await prepare('index');
    await dr.stop();
    for (const kind of ['index', 'keys']) {
      for (const name of readdirSync(join(repository, kind))) unlinkSync(join(repository, kind, name));
    }
    flip(join(repository, 'config'), 20);
    const again = manager('index');
    const damage: string[] = [];
    again.on('storage:damaged', ({ file }) => damage.push(file));
    const restored = await again.restore({ target: { folder: join(folder, 'index', 'out') } });
    expect(restored.state).toBe('exact');
    expect(damage).toContain('config');
    expect(damage.some((file) => file.startsWith('keys/'))).toBe(true);
    // The next backup lists the packs in an index file again.
    await again.backup();
    expect(readdirSync(join(repository, 'index')).length).toBe(1);
    await again.stop();
  });

  it('stores anew what a missing pack held', async () => {
    const { dr, repository } = await prepare('missing');
    rmSync(packs(repository)[0] ?? '');
    const result = await dr.backup();
    expect(result.readBytes).toBe(120_000);
    expect((await dr.restore({ target: { folder: join(folder, 'missing', 'out') } })).state).toBe('exact');
    await dr.stop();
  });

  it('opens, tells the loss and loses no more, with bytes flipped and files cut anywhere', async () => {
    const failures: string[] = [];
    await flipCampaign({
      count: 60,
      random: pseudo(7),
      fail: (what) => failures.push(what),
      progress: () => undefined,
    });
    expect(failures).toEqual([]);
  });
});

function pseudo(seed: number): () => number {
  let index = 0;
  return () => createHash('sha256').update(`${seed} ${index++}`).digest().readUInt32LE(0) / 2 ** 32;
}
