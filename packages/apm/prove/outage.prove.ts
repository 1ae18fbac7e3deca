import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type CountingReceiver, countingReceiver } from './receiver.js';

const program = fileURLToPath(new URL('./outage-process.ts', import.meta.url));
const rate = 190;
const mostHeapBytes = 16 * 1_048_576;

interface Line {
  readonly made: number;
  readonly atMs?: number;
  readonly most?: number;
  readonly stats?: { readonly delivered: number; readonly retries: number };
}

/** Runs the program; `act` hears when it begins, and gets a function that kills it. */
async function run(
  url: string,
  folder: string,
  seconds: number,
  from: number,
  act: (kill: () => void) => void = () => undefined,
): Promise<Line[]> {
  const args = ['--expose-gc', '--conditions=@mnops/source', '--import', 'tsx', program];
  const child = spawn(process.execPath, [...args, url, folder, `${seconds}`, `${rate}`, `${from}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child.stdout, 'data');
  act(() => child.kill('SIGKILL'));
  await once(child, 'close');
  return text
    .split('\n')
    .slice(1, -1)
    .map((line) => JSON.parse(line) as Line);
}

/** Down for the first half, up for the second: every span arrives, and memory stays. */
async function outage(receiver: CountingReceiver, folder: string, seconds: number): Promise<string[]> {
  const lines = await run(receiver.url, folder, seconds, 0, () => {
    setTimeout(() => void receiver.up(), seconds * 500);
  });
  const last = lines.at(-1);
  const problems: string[] = [];
  if (last?.most === undefined) return ['the process did not run to its end'];
  if (receiver.seen.size !== last.made) problems.push(`${receiver.seen.size} of ${last.made} arrived`);
  if ((last.stats?.retries ?? 0) === 0) problems.push('there was no outage');
  if (last.most > mostHeapBytes) problems.push(`${Math.round(last.most / 1e5) / 10} MB of heap`);
  console.log(
    `    ${folder === '' ? 'memory' : 'folder'}: ${receiver.seen.size} of ${last.made} spans, ` +
      `${(last.most / 1_048_576).toFixed(1)} MB of heap, ${last.stats?.retries} retries`,
  );
  return problems;
}

/** Killed in the middle of an outage: all arrive later but those of the last interval. */
async function killed(receiver: CountingReceiver, folder: string, seconds: number, killMs: number): Promise<string[]> {
  const lines = await run(receiver.url, folder, seconds, 0, (kill) => setTimeout(kill, killMs));
  const last = lines.at(-1);
  if (last?.atMs === undefined) return ['the process was not killed while it ran'];
  const endMs = last.atMs;
  // A span waits up to 20 ms until delivery sees it; the rest is for a timer that comes late on a busy machine.
  const promised = lines.filter(({ atMs = 0 }) => atMs <= endMs - 1_000 - 250).at(-1)?.made ?? 0;
  await receiver.up();
  await run(receiver.url, folder, 0, 1_000_000);
  console.log(`    killed after ${last.made} spans: ${receiver.seen.size} arrived, ${promised} were promised`);
  return receiver.seen.size >= promised ? [] : [`${receiver.seen.size} of ${promised} promised spans arrived`];
}

const campaign: Campaign = defineCampaign({
  package: 'apm',
  suite: 'outage',
  bar: 'A3',
  name: 'receiver down for the first half of 40 s at 190 spans a second, in memory and with a folder, and with a kill -9',
  goal: 'all delivered with at most 16 MB of heap; after the kill all but those of the last interval',
  defaultCount: 6,
  shortCount: 3,
  async run({ count, random, args, fail, progress }) {
    // The short run is short in time too.
    const seconds = Number(args['seconds'] ?? (count < 6 ? 6 : 40));
    for (let done = 0; done < count; done += 1) {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-outage-'));
      const receiver = await countingReceiver();
      const kinds = [
        () => outage(receiver, '', seconds),
        () => outage(receiver, folder, seconds),
        () => killed(receiver, folder, seconds, 2_000 + random() * (seconds / 2 - 1) * 1_000),
      ];
      try {
        for (const problem of await (kinds[done % 3] as () => Promise<string[]>)()) fail(problem);
        if (receiver.wrong.length > 0) fail(`wrong spans: ${receiver.wrong.slice(0, 3).join(', ')}`);
      } finally {
        await receiver.down();
        await rm(folder, { recursive: true, force: true });
      }
      progress(done + 1);
    }
  },
});

export default campaign;
