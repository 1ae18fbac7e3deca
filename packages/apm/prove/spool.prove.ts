import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import { otlp } from '../src/providers/otlp/index.js';
import { type CountingReceiver, countingReceiver } from './receiver.js';

const program = fileURLToPath(new URL('./spool-process.ts', import.meta.url));

interface Replayed {
  readonly seen: ReadonlyMap<string, number>;
  readonly damagedRecords: number;
  readonly problems: readonly string[];
}

/** Starts on a folder, delivers what is there, and checks that nothing was made up. */
async function replay(folder: string, receiver: CountingReceiver): Promise<Replayed> {
  const problems: string[] = [];
  const exporters = [otlp({ url: receiver.url })];
  const apm = new PerformanceMonitoringManager({ service: 'next', registerGlobals: false, folder, exporters });
  await apm.start();
  await apm.flush();
  const { replayed = 0, delivered = 0, held, spool } = apm.stats().exporters['otlp'] ?? {};
  if (delivered !== replayed || held !== 0) problems.push(`${replayed} found, ${delivered} delivered, ${held} held`);
  if (receiver.wrong.length > 0) problems.push(`wrong spans: ${receiver.wrong.slice(0, 3).join(', ')}`);
  await apm.stop();
  return { seen: receiver.seen, damagedRecords: spool?.damagedRecords ?? 0, problems };
}

/** Leaves spans on disk in several records. @returns The segment's file name. */
async function leave(folder: string, spans: number): Promise<string> {
  const exporters = [otlp({ url: 'http://127.0.0.1:9' })];
  const apm = new PerformanceMonitoringManager({
    service: 'left',
    registerGlobals: false,
    folder,
    exporters,
    queue: { batchSpans: 2 },
  });
  await apm.start();
  for (let index = 0; index < spans; index += 1) {
    apm.trace(`work ${index}`, { attributes: { index } }, () => undefined);
  }
  await apm.stop({ graceMs: 0 });
  const names = (await readdir(join(folder, 'spool', 'otlp'))).filter((name) => name.endsWith('.spool'));
  return join('spool', 'otlp', names[0] ?? '');
}

const damage: Campaign = defineCampaign({
  package: 'apm',
  suite: 'spool',
  bar: 'A3',
  name: 'a segment of 6 spans in 3 records, cut at every length and each byte of it flipped',
  goal: 'every start succeeds; no wrong span; no more lost than the damaged records; the loss is reported',
  defaultCount: 3_000,
  shortCount: 120,
  async run({ count, random, fail, progress }) {
    const original = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
    try {
      const segment = await leave(original, 6);
      const bytes = await readFile(join(original, segment));
      for (let done = 0; done < count; done += 1) {
        // In turn, both kinds over the whole file where the count allows it.
        const place =
          count >= bytes.length * 2 ? Math.floor(done / 2) % bytes.length : Math.floor(random() * bytes.length);
        const cut = done % 2 === 0;
        const folder = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
        const receiver = await countingReceiver();
        await receiver.up();
        try {
          await cp(original, folder, { recursive: true });
          const changed = cut ? bytes.subarray(0, place) : Buffer.from(bytes);
          if (!cut) changed[place] = (changed[place] ?? 0) ^ (1 << Math.floor(random() * 8));
          await writeFile(join(folder, segment), changed);
          const { seen, damagedRecords, problems } = await replay(folder, receiver);
          const what = `${cut ? 'cut' : 'flipped'} at ${place} of ${bytes.length}`;
          for (const problem of problems) fail(`${what}: ${problem}`);
          if (!cut && seen.size < 4) fail(`${what}: ${seen.size} of 6 spans arrived`);
          if (!cut && seen.size < 6 && damagedRecords === 0) fail(`${what}: ${6 - seen.size} lost without a word`);
        } finally {
          await receiver.down();
          await rm(folder, { recursive: true, force: true });
        }
        progress(done + 1);
      }
    } finally {
      await rm(original, { recursive: true, force: true });
    }
  },
});

/** Two processes on one folder, both killed; what either had on disk must arrive, each span once. */
async function kill(folder: string, receiver: CountingReceiver, delays: readonly number[]): Promise<string[]> {
  let begun = 0;
  let allBegun = (): void => undefined;
  const together = new Promise<void>((resolve) => {
    allBegun = resolve;
  });
  const promised = await Promise.all(
    delays.map(async (delayMs, index) => {
      const args = ['--conditions=@mnops/source', '--import', 'tsx', program, folder, 'http://127.0.0.1:9'];
      const child = spawn(process.execPath, [...args, '20', `${index * 1_000_000}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += chunk;
      });
      await once(child.stdout, 'data');
      begun += 1;
      if (begun === delays.length) allBegun();
      // One that began after the other's death would take its spans over, and promise them a second time.
      await together;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.kill('SIGKILL');
      await once(child, 'close');
      return Number(text.slice(0, text.lastIndexOf('\n')).split('\n').slice(1).at(-1) ?? 0);
    }),
  );
  await receiver.up();
  const { seen, problems } = await replay(folder, receiver);
  const expected = promised.reduce((sum, spans) => sum + spans, 0);
  return seen.size >= expected ? [...problems] : [...problems, `${seen.size} of ${expected} spans arrived`];
}

const kills: Campaign = defineCampaign({
  package: 'apm',
  suite: 'spool',
  bar: 'A3',
  name: 'kill -9 of two processes on one folder at random moments',
  goal: 'every span that was on disk arrives from the next process',
  defaultCount: 100,
  shortCount: 2,
  async run({ count, random, fail, progress }) {
    for (let done = 0; done < count; done += 1) {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
      const receiver = await countingReceiver();
      try {
        for (const problem of await kill(folder, receiver, [random() * 600, random() * 600])) fail(problem);
      } finally {
        await receiver.down();
        await rm(folder, { recursive: true, force: true });
      }
      progress(done + 1);
    }
  },
});

const campaigns: readonly Campaign[] = [damage, kills];

export default campaigns;
