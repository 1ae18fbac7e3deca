import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LogAggregationManager } from '@mnops/logging';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

const program = fileURLToPath(new URL('./killed-process.ts', import.meta.url));

/** Kills a writer at a random moment; returns what is wrong with what it left, if anything. */
async function kill(folder: string, delayMs: number): Promise<string | undefined> {
  const told = join(folder, 'told');
  const store = join(folder, 'store');
  const args = ['--conditions=@mnops/source', '--import', 'tsx', program, store, told];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const acknowledged = Number((await readFile(told, 'utf8')).trimEnd().split('\n').at(-1) ?? 0);
  const logs = new LogAggregationManager({ sinks: [], folder: store });
  await logs.start();
  try {
    const seen = new Set<number>();
    let after: string | undefined;
    do {
      const page = await logs.search({ sort: 'oldest-first', limit: 10_000, after });
      for (const { attributes } of page.entries) {
        const index = attributes['index'] as number;
        if (seen.has(index)) return `entry ${index} is there twice`;
        seen.add(index);
      }
      after = page.next;
    } while (after !== undefined);
    for (let index = 0; index < acknowledged; index += 1) if (!seen.has(index)) return `entry ${index} is lost`;
    return undefined;
  } finally {
    await logs.stop();
  }
}

const campaign: Campaign = defineCampaign({
  package: 'logging',
  suite: 'kill',
  bar: 'B11',
  name: 'SIGKILL of a writer at a random moment, sealing included',
  goal: 'no acknowledged entry lost, none doubled',
  defaultCount: 200,
  shortCount: 3,
  async run({ count, random, fail, progress }) {
    for (let done = 0; done < count; done += 1) {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-prove-'));
      try {
        const wrong = await kill(folder, random() * 400);
        if (wrong !== undefined) fail(wrong);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      progress(done + 1);
    }
  },
});

export default campaign;
