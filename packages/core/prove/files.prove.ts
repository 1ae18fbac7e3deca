import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireFileLock, openRecordLog } from '@mnops/core/files';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

const program = fileURLToPath(new URL('./appending-process.ts', import.meta.url));
const kind = { magic: 'MNPROVE1', version: 1 };

/** Kills a writer at a random moment; returns what is wrong with what it left, if anything. */
async function kill(folder: string, delayMs: number): Promise<string | undefined> {
  const args = ['--conditions=@mnops/source', '--import', 'tsx', program, folder];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const acknowledged = Number((await readFile(join(folder, 'told'), 'utf8')).trimEnd().split('\n').at(-1) ?? 0);
  const lock = await acquireFileLock(join(folder, 'lock'));
  const log = await openRecordLog({ file: join(folder, 'log'), ...kind });
  try {
    let expected = 0;
    for await (const { sequence, payload } of log.records()) {
      const index = Number(Buffer.from(payload).toString().split(' ')[0]);
      if (index !== expected || sequence !== expected) return `record ${sequence} holds ${index}, not ${expected}`;
      expected += 1;
    }
    if (expected < acknowledged) return `${acknowledged - expected} acknowledged records are lost`;
    return log.damage.some(({ records }) => records > 1) ? 'more than a torn end is reported as damage' : undefined;
  } finally {
    await log.close();
    await lock.release();
  }
}

const killed: Campaign = defineCampaign({
  package: 'core',
  suite: 'files',
  bar: 'C1',
  name: 'SIGKILL of a record log writer at a random moment, rewrites included',
  goal: 'no acknowledged record lost',
  defaultCount: 200,
  shortCount: 3,
  async run({ count, random, fail, progress }) {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-prove-'));
    try {
      for (let done = 0; done < count; done += 1) {
        const wrong = await kill(folder, random() * 300);
        if (wrong !== undefined) fail(wrong);
        // A file of its own now and then, so that rewrites stay small.
        if (done % 10 === 9) for (const name of ['log', 'told']) await rm(join(folder, name), { force: true });
        progress(done + 1);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});

const damaged: Campaign = defineCampaign({
  package: 'core',
  suite: 'files',
  bar: 'C2',
  name: 'record logs with several flipped, overwritten or missing stretches at once',
  goal: 'every record outside the damage is read, all loss is reported',
  defaultCount: 3_000,
  shortCount: 100,
  async run({ count, random, fail, progress }) {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-prove-'));
    const file = join(folder, 'log');
    const below = (limit: number): number => Math.floor(random() * limit);
    try {
      const log = await openRecordLog({ file, ...kind });
      const places: { readonly start: number; readonly end: number }[] = [];
      for (let index = 0; index < 200; index += 1) {
        const { offset } = await log.append(Buffer.alloc(below(400), index), { sync: false });
        places.push({ start: offset, end: log.sizeBytes });
      }
      await log.close();
      const whole = await readFile(file);
      for (let done = 0; done < count; done += 1) {
        const bytes = Buffer.from(whole);
        const harmed: { readonly start: number; readonly end: number }[] = [];
        for (let stretch = 1 + below(4); stretch > 0; stretch -= 1) {
          const start = 64 + below(bytes.length - 64);
          const end = Math.min(bytes.length, start + 1 + below(random() < 0.5 ? 1 : 3_000));
          for (let at = start; at < end; at += 1) bytes[at] = (bytes[at] as number) ^ (1 + below(255));
          harmed.push({ start, end });
        }
        const cut = random() < 0.3 ? 64 + below(bytes.length - 64) : bytes.length;
        await writeFile(file, bytes.subarray(0, cut));
        const safe = places.filter(
          ({ start, end }) => end <= cut && !harmed.some((one) => one.start < end && start < one.end),
        );
        const wrong = await compare(file, safe, places);
        if (wrong !== undefined) fail(`trial ${done}: ${wrong}`);
        progress(done + 1);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});

async function compare(
  file: string,
  safe: readonly { readonly start: number }[],
  places: readonly { readonly start: number }[],
): Promise<string | undefined> {
  const log = await openRecordLog({ file, ...kind, readOnly: true });
  try {
    const read = new Set<number>();
    for await (const { offset, sequence } of log.records()) {
      if (places[sequence]?.start !== offset) return `record ${sequence} was read at ${offset}`;
      read.add(offset);
    }
    const missing = safe.filter(({ start }) => !read.has(start));
    if (missing.length > 0) return `${missing.length} whole records were not read`;
    const last = Math.max(-1, ...[...read].map((offset) => places.findIndex(({ start }) => start === offset)));
    const lost = log.damage.reduce((sum, { records }) => sum + records, 0);
    const gone = last + 1 - read.size;
    return lost < gone ? `${gone} records are gone, ${lost} are reported` : undefined;
  } finally {
    await log.close();
  }
}

const campaigns: readonly Campaign[] = [killed, damaged];
export default campaigns;
