import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DisasterRecoveryManager, files } from '@mnops/dr';
import { type Campaign, type CampaignContext, defineCampaign } from '@mnops/tooling/prove';
import { describeTree, discard, findRestic, noise, passphrase, restic, scratch } from './repository-kit.js';

const script = fileURLToPath(new URL('./backup-process.ts', import.meta.url));
const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));

function start(source: string, repository: string): ChildProcess {
  const conditions = existsSync(built) ? [] : ['--conditions=@mnops/source'];
  const args = ['--import', 'tsx', ...conditions, script, source, repository, passphrase];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Waits for a line; false when the process ended without it. */
function said(child: ChildProcess, line: string): Promise<boolean> {
  return new Promise((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.toString().includes(line) && resolve(true));
    child.once('exit', () => resolve(false));
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

function manager(source: string, repository: string): DisasterRecoveryManager {
  const sources = [files(source, { id: 'data' })];
  return new DisasterRecoveryManager({ key: passphrase, sources, repository: { folder: repository }, audit: false });
}

async function run({ count, random, fail, progress }: CampaignContext): Promise<void> {
  if (findRestic() === undefined) {
    fail('restic is not on this machine: apt-get install -y restic');
    return;
  }
  const base = scratch();
  try {
    const [older, newer, pristine] = [join(base, 'older'), join(base, 'newer'), join(base, 'pristine')];
    for (const [folder, seed] of [
      [older, 'older'],
      [newer, 'newer'],
    ] as const) {
      mkdirSync(folder);
      for (let index = 0; index < 40; index++)
        writeFileSync(join(folder, `f${index}`), noise(20_000, `${seed} ${index}`));
      writeFileSync(join(folder, 'large'), noise(30_000_000, seed));
    }
    const first = manager(older, pristine);
    const point = (await first.backup()).point?.id ?? '';
    await first.stop();

    const whole = join(base, 'whole');
    cpSync(pristine, whole, { recursive: true });
    const child = start(newer, whole);
    await said(child, 'ready');
    const began = performance.now();
    await said(child, 'done');
    const durationMs = performance.now() - began;
    await ended(child);

    for (let trial = 0; trial < count; trial++) {
      const folder = join(base, 'trial');
      rmSync(folder, { recursive: true, force: true });
      cpSync(pristine, folder, { recursive: true });
      const delayMs = random() * durationMs;
      const problem = await killed(newer, folder, delayMs).then(() => trialProblem(base, older, newer, folder, point));
      if (problem !== undefined) fail(`killed after ${Math.round(delayMs)} ms: ${problem}`);
      progress(trial + 1);
    }
  } finally {
    discard(base);
  }
}

async function killed(source: string, folder: string, delayMs: number): Promise<void> {
  const child = start(source, folder);
  try {
    await said(child, 'ready');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  } finally {
    child.kill('SIGKILL');
    await ended(child);
  }
}

/** The older point is as it was, the next backup is complete, and restic finds a clean repository without an unlock. */
async function trialProblem(
  base: string,
  older: string,
  newer: string,
  folder: string,
  point: string,
): Promise<string | undefined> {
  const out = join(base, 'out');
  rmSync(out, { recursive: true, force: true });
  const dr = manager(newer, folder);
  try {
    await dr.restore({ point: { id: point }, target: { folder: join(out, 'older') } });
    if (!same(join(out, 'older', 'data'), older)) return 'the older point changed';
    const check = restic(folder, ['check', '--read-data']);
    if (!check.includes('no errors were found')) return `restic: ${check.slice(-500)}`;
    await dr.backup();
    await dr.restore({ target: { folder: join(out, 'newer') } });
    if (!same(join(out, 'newer', 'data'), newer)) return 'the next backup is not complete';
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 500) : String(error);
  } finally {
    await dr.stop();
  }
}

function same(a: string, b: string): boolean {
  return JSON.stringify(describeTree(a)) === JSON.stringify(describeTree(b));
}

const campaign: Campaign = defineCampaign({
  package: 'dr',
  suite: 'kill',
  bar: '9',
  name: 'backups killed at any moment',
  goal: '0 bad repositories, 0 changed older points; judge: restic check --read-data',
  defaultCount: 40,
  shortCount: 2,
  run,
});

export default campaign;
