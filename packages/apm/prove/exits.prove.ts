import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type CountingReceiver, countingReceiver } from './receiver.js';

const program = fileURLToPath(new URL('./ending-process.ts', import.meta.url));
const spans = 100;
/** How a process ends, and the exit code or signal that it must keep. */
const modes = { natural: 0, exit: 3, throw: 1, signal: 'SIGTERM' } as const;
type Mode = keyof typeof modes;

interface Ended {
  readonly end: number | string | null;
  readonly errors: string;
}

async function run(mode: string, url: string, folder: string): Promise<Ended> {
  const args = ['--conditions=@mnops/source', '--import', 'tsx', program, mode, url, folder, String(spans)];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  child.stdout?.once('data', () => child.kill('SIGTERM'));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { end: signal ?? code, errors };
}

/** Ends one process; what did not arrive then must arrive from the next one. */
async function trial(mode: Mode, away: boolean, receiver: CountingReceiver, folder: string): Promise<string[]> {
  const problems: string[] = [];
  if (!away) await receiver.up();
  const { end, errors } = await run(mode, receiver.url, folder);
  if (end !== modes[mode]) problems.push(`ended with ${end} instead of ${modes[mode]}: ${errors}`);
  if (mode === 'throw' && !errors.includes('of the program itself')) problems.push('its error was not printed');
  const atOnce = receiver.seen.size;
  await receiver.up();
  if (atOnce < spans) await run('replay', receiver.url, folder);
  if (receiver.seen.size !== spans) problems.push(`${receiver.seen.size} of ${spans} arrived, ${atOnce} at once`);
  if (receiver.wrong.length > 0) problems.push(`wrong spans: ${receiver.wrong.slice(0, 3).join(', ')}`);
  if (!away && (mode === 'natural' || mode === 'signal') && atOnce < spans) {
    problems.push(`only ${atOnce} arrived before the process ended`);
  }
  return problems;
}

const campaign: Campaign = defineCampaign({
  package: 'apm',
  suite: 'exits',
  bar: 'A2',
  name: '100 spans of a process that ends: by itself, by process.exit, by an error, by SIGTERM, with and without receiver',
  goal: '100 of 100 arrive, at the latest from the next process; exit code unchanged',
  defaultCount: 40,
  shortCount: 8,
  async run({ count, fail, progress }) {
    const names = Object.keys(modes) as Mode[];
    for (let done = 0; done < count; done += 1) {
      const mode = names[done % names.length] as Mode;
      const away = Math.floor(done / names.length) % 2 === 1;
      const folder = await mkdtemp(join(tmpdir(), 'mnops-exit-'));
      const receiver = await countingReceiver();
      try {
        for (const problem of await trial(mode, away, receiver, folder)) {
          fail(`${mode}${away ? ', receiver away' : ''}: ${problem}`);
        }
      } finally {
        await receiver.down();
        await rm(folder, { recursive: true, force: true });
      }
      progress(done + 1);
    }
  },
});

export default campaign;
