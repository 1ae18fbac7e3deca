import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCampaign } from '@mnops/tooling/prove';

const operator = join(import.meta.dirname, '..', 'dist', 'operator.js');

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [operator, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Processes of a run: services carry its folder in their environment, the load in that of its parent. */
async function processesOf(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const texts = await Promise.all(
      ['environ', 'cmdline'].map((file) => readFile(join('/proc', entry, file), 'utf8').catch(() => '')),
    );
    if (texts.some((text) => text.includes(folder))) found.push(Number(entry));
  }
  return found;
}

/** Kills the operator at a moment of the story, then lets another one clean up. */
async function killOnce(afterMs: number): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-shop-kill-'));
  const run = join(folder, 'run');
  try {
    const child = start('--folder', run, '--report', join(folder, 'report.html'));
    await new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('Send load')) resolve();
      });
      child.once('exit', () => resolve());
    });
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
    const survivors = await processesOf(folder);
    if (survivors.length === 0) return 'no service outlived the operator, so nothing was proved';
    const cleaner = start('--folder', run, '--clean');
    const code = await new Promise((resolve) => cleaner.once('exit', resolve));
    if (code !== 0) return `cleaning up ended with ${String(code)}`;
    const left = await processesOf(folder);
    return left.length === 0 ? undefined : `${left.length} processes were left`;
  } finally {
    for (const pid of await processesOf(folder)) process.kill(pid, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

export default defineCampaign({
  package: 'shop',
  suite: 'killed',
  bar: 'shop',
  name: 'operator killed with -9 in the middle, cleaned up by the next',
  goal: 'no process left',
  defaultCount: 10,
  shortCount: 1,
  async run({ count, random, fail, progress }) {
    for (let index = 0; index < count; index++) {
      const afterMs = Math.floor(random() * 25_000);
      const wrong = await killOnce(count === 1 ? afterMs % 3_000 : afterMs);
      if (wrong !== undefined) fail(`after ${afterMs} ms: ${wrong}`);
      progress(index + 1);
    }
  },
});
