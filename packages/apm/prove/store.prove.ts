import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import { spanOf } from '../src/testing/spans.js';

const program = fileURLToPath(new URL('./killed-keeper.ts', import.meta.url));
const batches = 4;
const batchTraces = 5;

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-prove-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function managerOf(folder: string): { readonly apm: PerformanceMonitoringManager; readonly damage: StorageDamage[] } {
  const apm = new PerformanceMonitoringManager({ service: 'proved', registerGlobals: false, folder });
  const damage: StorageDamage[] = [];
  apm.on('storage:damaged', (found) => damage.push(found));
  return { apm, damage };
}

/** Fills a folder with a few records; returns the file of traces and the file of numbers. */
async function fill(folder: string): Promise<readonly string[]> {
  const { apm } = managerOf(folder);
  await apm.start();
  for (let batch = 0; batch < batches; batch += 1) {
    const spans = Array.from({ length: batchTraces }, (_, i) => {
      const id = (batch * batchTraces + i + 1).toString(16);
      return spanOf({ trace: id, id, name: `GET /${batch}`, kind: 'server', startMs: Date.now(), durationMs: 5 + i });
    });
    await apm.ingest(spans);
    await apm.flush();
  }
  await apm.stop();
  const files: string[] = [];
  for (const part of ['traces', 'numbers']) {
    for (const name of await readdir(join(folder, part))) files.push(join(part, name));
  }
  return files;
}

/** Positions between two records. */
async function edgesOf(file: string): Promise<ReadonlySet<number>> {
  const log = await openRecordLog({ file, magic: 'MNAPMTRC', version: 1, readOnly: true });
  const edges = new Set<number>();
  for await (const { offset, nextOffset } of log.records()) edges.add(offset).add(nextOffset);
  await log.close();
  return edges;
}

/** What is wrong after one file was damaged, if anything. */
async function damagedProblem(folder: string, untold: boolean): Promise<string | undefined> {
  const { apm, damage } = managerOf(folder);
  await apm.start();
  try {
    if (apm.status !== 'ready') return `the status is ${apm.status}`;
    const traces = await count(apm);
    if (traces % batchTraces !== 0) return `a part of a record was read: ${traces} traces`;
    const operations = apm.baselines();
    const wrong = operations.find((operation) => operation.count !== batchTraces);
    if (wrong !== undefined) return `a baseline of ${wrong.count} spans instead of ${batchTraces}`;
    const lost = traces < batches * batchTraces || operations.length < batches;
    if (lost && damage.length === 0 && !untold) return 'something is lost and nobody was told';
    await apm.ingest([spanOf({ trace: 'ffff', id: 'ffff', kind: 'server', startMs: Date.now() })]);
    await apm.stop();
    const again = managerOf(folder).apm;
    await again.start();
    const whole = (await count(again)) === traces + 1 && again.baselines().length === operations.length + 1;
    await again.stop();
    return whole ? undefined : 'what was written after the damage is not read';
  } finally {
    await apm.stop();
  }
}

async function count(apm: PerformanceMonitoringManager): Promise<number> {
  let found = 0;
  for await (const _ of apm.findTraces({ limit: 1_000_000 })) found += 1;
  return found;
}

const damage: Campaign = defineCampaign({
  package: 'apm',
  suite: 'store',
  bar: 'A16',
  name: 'kept traces and baselines cut at every length and with every byte flipped',
  goal: 'what is whole is read, what is lost is told but behind a clean edge of a trace file, start never refuses',
  defaultCount: 3_000,
  shortCount: 40,
  async run({ count: trials, random, fail, progress }) {
    await inFolder(async (origin) => {
      const files = await fill(origin);
      const sizes = await Promise.all(files.map(async (file) => (await readFile(join(origin, file))).length));
      const edges = await edgesOf(join(origin, files[0] as string));
      const positions = sizes.reduce((sum, size) => sum + size, 0) * 2;
      for (let trial = 0; trial < trials; trial += 1) {
        if (trial % 20 === 0) progress(trial);
        // All of them when there are enough trials, else some by chance.
        let at = trials >= positions ? trial % positions : Math.floor(random() * positions);
        const cut = at % 2 === 0;
        at = Math.floor(at / 2);
        const index = at < (sizes[0] ?? 0) ? 0 : 1;
        if (index === 1) at -= sizes[0] ?? 0;
        await inFolder(async (folder) => {
          await cp(origin, folder, { recursive: true });
          const file = join(folder, files[index] as string);
          const bytes = await readFile(file);
          if (!cut) bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
          await writeFile(file, cut ? bytes.subarray(0, at) : bytes);
          // A file that is only appended to cannot know of records behind a clean edge.
          const untold = cut && index === 0 && edges.has(at);
          const problem = await damagedProblem(folder, untold);
          if (problem !== undefined) fail(`${files[index]} ${cut ? 'cut' : 'flipped'} at ${at}: ${problem}`);
        });
      }
      progress(trials);
    });
  },
});

/** Kills a process at a random moment; returns what is wrong with what it left, if anything. */
async function kill(parent: string, delayMs: number): Promise<string | undefined> {
  const [folder, told] = [join(parent, 'folder'), join(parent, 'told')];
  const parameters = ['--conditions=@mnops/source', '--import', 'tsx', program, folder, told];
  const child = spawn(process.execPath, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const acknowledged = Number((await readFile(told, 'utf8')).trimEnd().split('\n').at(-1) ?? 0);
  const { apm } = managerOf(folder);
  await apm.start();
  try {
    const seen = new Set<unknown>();
    for await (const { root } of apm.findTraces({ limit: 1_000_000 })) {
      const index = root?.attributes['index'];
      if (seen.has(index)) return `trace ${String(index)} is there twice`;
      seen.add(index);
    }
    for (let index = 0; index < acknowledged; index += 1) if (!seen.has(index)) return `trace ${index} is lost`;
    const learned = apm.baselines({ operation: 'GET /', at: new Date(0) })[0]?.count ?? 0;
    return learned >= acknowledged ? undefined : `${acknowledged} acknowledged, ${learned} in the baseline`;
  } finally {
    await apm.stop();
  }
}

const killed: Campaign = defineCampaign({
  package: 'apm',
  suite: 'store',
  bar: 'A16',
  name: 'SIGKILL of a process that keeps traces and baselines, at a random moment',
  goal: 'nothing lost or doubled that a flush acknowledged',
  defaultCount: 100,
  shortCount: 2,
  async run({ count: trials, random, fail, progress }) {
    for (let trial = 0; trial < trials; trial += 1) {
      const problem = await inFolder((folder) => kill(folder, random() * 400));
      if (problem !== undefined) fail(problem);
      progress(trial + 1);
    }
  },
});

const campaigns: readonly Campaign[] = [damage, killed];

export default campaigns;
