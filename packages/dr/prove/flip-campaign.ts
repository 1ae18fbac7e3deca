import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MnopsError, systemClock } from '@mnops/core';
import { testCall } from '@mnops/core/testing';
import { runBackup } from '../src/backup/run-backup.js';
import { runCheck } from '../src/check/run-check.js';
import { pointOf } from '../src/points.js';
import { Repository } from '../src/repository/repository.js';
import { runRestore } from '../src/restore/run-restore.js';
import { files } from '../src/sources/files.js';
import { discard, noise, passphrase, scratch } from './repository-kit.js';

/** What a campaign is run with. */
export interface FlipContext {
  readonly count: number;
  readonly random: () => number;
  fail(what: string): void;
  progress(done: number): void;
}

/** Cheap on purpose: the key is derived for every trial. */
const scryptCost = { N: 16, r: 1, p: 1 };
/** Nobody else is at the repository, so there is nothing to wait for. */
const hastyClock = { ...systemClock(), sleep: async () => undefined };
const contents: Readonly<Record<string, Buffer>> = {
  'data/one': noise(700, 'one'),
  'data/two': noise(600, 'two'),
  'data/sub/three': noise(500, 'three'),
};

/** Two points of a small tree, as file contents by name. */
async function smallRepository(base: string): Promise<Map<string, Buffer>> {
  const tree = join(base, 'data');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  for (const [path, bytes] of Object.entries(contents)) writeFileSync(join(base, path), bytes);
  const folder = join(base, 'repository');
  const repository = await Repository.create({ folder, passphrase, scryptCost });
  const input = {
    repository,
    sources: [files(tree)],
    tags: [],
    ownFolders: [],
    allowPartial: false,
    clock: systemClock(),
  };
  for (let run = 0; run < 2; run++) await runBackup({ ...input, call: testCall(), onProgress: () => undefined });
  repository.close();
  const found = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (statSync(join(folder, name)).isFile()) found.set(name, readFileSync(join(folder, name)));
  }
  return found;
}

/**
 * Flips a byte of a repository, or cuts one of its files there, again and again: it opens, the damage is told, every
 * point restores but for paths that are named, and what restores is byte-exact.
 *
 * With a count of at least the number of bytes each byte is tried in turn, else a random choice.
 */
export async function flipCampaign({ count, random, fail, progress }: FlipContext): Promise<void> {
  const base = scratch();
  try {
    const whole = await smallRepository(base);
    const positions = [...whole].flatMap(([name, bytes]) => Array.from(bytes, (_, offset) => ({ name, offset })));
    const all = count >= positions.length;
    for (let trial = 0; trial < count; trial++) {
      const at = all ? trial % positions.length : Math.floor(random() * positions.length);
      const { name, offset } = positions[at] ?? { name: '', offset: 0 };
      const cut = all ? trial >= positions.length : random() < 0.3;
      const bytes = Buffer.from(whole.get(name) ?? Buffer.alloc(0));
      bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (trial % 8));
      const damaged = cut ? bytes.subarray(0, offset) : bytes;
      const folder = join(base, 'trial');
      layOut(folder, whole, name, damaged);
      const what = `${cut ? 'cut' : 'flip'} ${name} at ${offset}`;
      try {
        const problem = await trialProblem(folder, join(base, 'out'), name, cut);
        if (problem !== undefined) fail(`${what}: ${problem}`);
      } catch (error) {
        fail(`${what}: ${MnopsError.is(error) ? error.code : String(error)}`);
      }
      progress(trial + 1);
    }
  } finally {
    discard(base);
  }
}

function layOut(folder: string, whole: ReadonlyMap<string, Buffer>, name: string, damaged: Buffer): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [path, bytes] of whole) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), path === name ? damaged : bytes);
  }
}

/** What is wrong with how the damage was met; `undefined` when nothing is. */
async function trialProblem(folder: string, out: string, name: string, cut: boolean): Promise<string | undefined> {
  const repository = await Repository.open({ folder, passphrase, clock: hastyClock });
  try {
    const check = await runCheck(repository, 'full', testCall(), () => undefined);
    // Copies are looked at only when they are needed; all else that is damaged must be told.
    const told = check.findings.length > 0 || name.startsWith('mnops');
    if (!told) return 'the damage was not told';
    const { snapshots } = repository.snapshots();
    const lostPoints = name.startsWith('snapshots') ? 1 : 0;
    if (snapshots.length !== 2 - lostPoints) return `${snapshots.length} points are left`;
    for (const { id, snapshot } of snapshots) {
      const problem = await restoreProblem(repository, { id, snapshot }, out, name.startsWith('data'), cut);
      if (problem !== undefined) return problem;
    }
    return undefined;
  } finally {
    repository.close();
  }
}

async function restoreProblem(
  repository: Repository,
  { id, snapshot }: ReturnType<Repository['snapshots']>['snapshots'][number],
  out: string,
  mayLose: boolean,
  cut: boolean,
): Promise<string | undefined> {
  rmSync(out, { recursive: true, force: true });
  let damaged: readonly { readonly path: string; readonly message: string }[] = [];
  try {
    const result = await runRestore({
      repository,
      selected: { point: pointOf(id, snapshot), snapshot },
      sources: ['data'],
      recoverables: new Map(),
      target: { folder: out },
      verify: true,
      allowPartial: true,
      call: testCall(),
      onProgress: () => undefined,
    });
    damaged = result.damaged;
  } catch (error) {
    if (!MnopsError.is(error, 'MNOPS_DR_REPOSITORY_DAMAGED') || !mayLose) throw error;
    return undefined; // the root's own list was hit
  }
  if (damaged.length > 0 && !mayLose) return `lost ${damaged.map(({ path }) => path).join()}`;
  const lostFolders = damaged.map(({ path }) => `${path}/`);
  let lost = 0;
  for (const [path, expected] of Object.entries(contents)) {
    const named = damaged.some((finding) => finding.path === path) || lostFolders.some((at) => path.startsWith(at));
    const bytes = readOptional(join(out, path));
    if (bytes === undefined) lost += 1;
    if (bytes === undefined && !named) return `${path} is missing and not named`;
    if (bytes !== undefined && !bytes.equals(expected)) return `${path} has other bytes`;
  }
  // A cut takes everything behind it along, the list of a folder everything below it; a flip in content one file.
  return lost > 1 && !cut && !treesHit(damaged) ? 'lost more than one blob' : undefined;
}

function treesHit(damaged: readonly { readonly path: string; readonly message: string }[]): boolean {
  return damaged.some(({ message }) => message.includes('folder'));
}

function readOptional(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
