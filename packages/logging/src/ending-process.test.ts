import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogAggregationManager } from './index.js';

const program = fileURLToPath(new URL('./fixtures/ending-process.ts', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-ending-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function run(
  way: string,
  api: string,
  store?: string,
): Promise<{ lines: string[]; code: unknown; signal: unknown }> {
  const path = join(folder, `${way}-${api}.log`);
  const args = ['--conditions=@mnops/source', '--import', 'tsx', program, path, way, api];
  const child = spawn(process.execPath, store === undefined ? args : [...args, store], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const [code, signal] = await once(child, 'exit');
  const text = await readFile(path, 'utf8').catch(() => '');
  // A torn line would not parse.
  const lines = text.split('\n').slice(0, -1);
  for (const line of lines) JSON.parse(line);
  return { lines, code, signal };
}

describe('a process that ends', () => {
  for (const api of ['logger', 'winston', 'transport']) {
    it(`loses nothing at exit, uncaught throw and SIGTERM, also before the start (${api})`, async () => {
      expect(await run('exit', api)).toMatchObject({ lines: { length: 1000 }, code: 0 });
      expect(await run('throw', api)).toMatchObject({ lines: { length: 1000 }, code: 1 });
      expect(await run('sigterm', api)).toMatchObject({ lines: { length: 1000 }, signal: 'SIGTERM' });
      expect(await run('unstarted', api)).toMatchObject({ lines: { length: 1000 }, code: 0 });
    });
  }

  it.each([
    ['own-on-exit', 7],
    ['own-on-throw', 1],
    ['own-on-later', 7],
    ['own-once-later', 7],
  ])('loses nothing that a handler of the program writes last: %s', async (way, code) => {
    expect(await run(way, 'logger')).toMatchObject({ lines: { length: 1010 }, code });
  });

  it('loses at most the lines of the running turn at SIGKILL, in the file and in the store', async () => {
    const store = join(folder, 'store');
    const { lines, signal } = await run('turns', 'logger', store);
    expect(signal).toBe('SIGKILL');
    expect(lines).toHaveLength(1000);
    const logs = new LogAggregationManager({ folder: store, sinks: [] });
    await logs.start();
    const found = await logs.search({ sort: 'oldest-first', limit: 10_000 });
    expect(found.entries.map(({ attributes }) => attributes['index'])).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
    await logs.stop();
  });

  it('keeps the lines of an exit in the store', async () => {
    const store = join(folder, 'store');
    await run('exit', 'logger', store);
    const logs = new LogAggregationManager({ folder: store, sinks: [] });
    await logs.start();
    expect((await logs.search({ limit: 10_000 })).entries).toHaveLength(1000);
    await logs.stop();
  });
});
