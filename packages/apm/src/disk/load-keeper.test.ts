import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StorageDamage } from '@mnops/core/spi';
import { fakeClock, memorySnapshot, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { spanOf } from '../testing/spans.js';
import { readLoad } from './load-file.js';

let folder: string;
const running: PerformanceMonitoringManager[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
});
afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
  await rm(folder, { recursive: true, force: true });
});

const startMs = 1_700_000_016_000;
const analysis = {
  bucketMs: 1_000,
  settleMs: 100,
  anomalies: false,
  forecast: { stepMs: 2_000, seasonMs: 48_000, seasons: 50 },
} as const;
const query = { operation: 'GET /items', signal: 'throughput', horizonMs: 12_000 } as const;

async function started(nowMs: number, at = folder) {
  const clock = fakeClock({ nowMs });
  const damage: StorageDamage[] = [];
  const apm = new PerformanceMonitoringManager({
    service: 'test',
    clock,
    registerGlobals: false,
    analysis,
    folder: at,
  });
  apm.on('storage:damaged', (found) => damage.push(found));
  running.push(apm);
  await apm.start();
  return { apm, clock, damage };
}
type Started = Awaited<ReturnType<typeof started>>;

/** Requests in a second: a wave of 48 s around 20, not the same in any two seasons. */
const usualCalls = (second: number): number =>
  Math.round(20 + 10 * Math.sin((2 * Math.PI * second) / 48) + ((second * 7_919) % 5) / 2);

async function run({ apm, clock }: Started, seconds: number, callsAt = usualCalls): Promise<void> {
  for (let done = 0; done < seconds; done += 1) {
    const second = (clock.now() - startMs) / 1_000;
    const calls = callsAt(second);
    const spans = Array.from({ length: calls }, (_, index) =>
      spanOf({
        trace: `${Math.abs(second) + 1}`,
        id: `${Math.abs(second) * 100 + index + 1}`,
        name: 'GET /items',
        kind: 'server',
        startMs: clock.now() + (index * 900) / calls,
        durationMs: 10,
      }),
    );
    await apm.ingest(spans);
    await clock.advance(1_000);
  }
}

const loads = async (): Promise<string[]> =>
  (await readdir(join(folder, 'numbers'))).filter((name) => name.endsWith('.load'));

describe('the history of load in a folder', () => {
  it('lets a process that is started again every season forecast at once', async () => {
    let last: Started | undefined;
    for (let season = 0; season < 5; season += 1) {
      last = await started(startMs + season * 48_000);
      await run(last, 48);
      await last.apm.stop();
    }
    const before = last?.apm.forecast(query);
    expect(before).toMatchObject({ usable: true, method: 'holt-winters' });
    expect(await loads()).toHaveLength(1);
    const next = await started(startMs + 240_000);
    expect(next.apm.forecast(query)).toEqual(before);
    expect(next.damage).toEqual([]);
    for (const { at, value } of next.apm.forecast(query).points) {
      const second = (at.getTime() - startMs) / 1_000;
      expect(Math.abs(value - (usualCalls(second) + usualCalls(second + 1)) / 2)).toBeLessThan(3);
    }
  });

  it('is the sum of the processes of a folder, those alive included, and of each only once', async () => {
    const [a, b] = [await started(startMs), await started(startMs)];
    for (let second = 0; second < 200; second += 1) {
      await run(a, 1);
      await run(b, 1);
    }
    for (const { apm } of [a, b, a, b, a]) await apm.flush();
    const alone = (await started(startMs, join(folder, 'alone'))) as Started;
    await run(alone, 200, (second) => 2 * usualCalls(second));
    const expected = alone.apm.forecast(query);
    expect(expected.usable).toBe(true);
    // They end at the last step that all have written.
    expect(a.apm.forecast(query)).toMatchObject({ usable: true });
    expect(a.apm.forecast(query).points).toEqual(b.apm.forecast(query).points);
    expect(a.apm.forecast(query).points).toEqual(expected.points);
    await a.apm.stop();
    await b.apm.stop();
    // One of them goes on as one, the other is counted in.
    const next = await started(startMs + 200_000);
    await next.apm.flush();
    expect(next.apm.forecast(query).points).toEqual(expected.points);
    await next.apm.stop();
    expect((await started(startMs + 200_000)).apm.forecast(query).points).toEqual(expected.points);
    expect(await loads()).toHaveLength(2);
  });

  it('never keeps a start from succeeding, and tells what is lost', async () => {
    const first = await started(startMs);
    await run(first, 120);
    await first.apm.stop();
    const [name = ''] = await loads();
    const file = join(folder, 'numbers', name);
    const bytes = await readFile(file);
    for (const changed of [bytes.subarray(0, 100), bytes.subarray(0, 700), Buffer.alloc(0), Buffer.from('theirs')]) {
      await writeFile(file, changed);
      const next = await started(startMs + 120_000);
      expect(next.apm.status).toBe('ready');
      expect(next.damage.map((found) => found.file)).toContain(file);
      expect(next.apm.forecast(query).reason).toBe('too-short');
      await next.apm.stop();
    }
    // What comes then is kept again.
    const next = await started(startMs + 120_000);
    await run(next, 10);
    await next.apm.stop();
    const last = await started(startMs + 130_000);
    expect(last.damage).toEqual([]);
    expect(last.apm.forecast(query).reason).toBe('too-short');
  });

  it('goes on after a clock was put back, and uses what it has when the clock is right again', async () => {
    const first = await started(startMs);
    await run(first, 240);
    const right = first.apm.forecast(query);
    await first.apm.stop();
    const early = await started(startMs - 400 * 86_400_000);
    await run(early, 120);
    expect(early.apm.forecast(query)).toMatchObject({ method: 'holt-winters' });
    await early.apm.stop();
    const next = await started(startMs + 240_000);
    expect(next.apm.forecast(query)).toEqual(right);
    expect(next.damage).toEqual([]);
  });

  it('removes what is older than it remembers', async () => {
    const [a, b] = [await started(startMs), await started(startMs)];
    await run(a, 10);
    await run(b, 10);
    await a.apm.stop();
    await b.apm.stop();
    for (const name of await loads()) {
      const file = join(folder, 'numbers', name);
      await writeFile(`${file}.new`, 'half');
      await utimes(file, startMs / 1_000, startMs / 1_000);
    }
    await started(startMs + 7_200_000);
    expect((await readdir(join(folder, 'numbers'))).filter((name) => name.includes('.load'))).toEqual([]);
  });

  it('is backed up and restored with the folder', async () => {
    const first = await started(startMs);
    await run(first, 240);
    const snapshot = memorySnapshot();
    await first.apm.recoverable.snapshot(snapshot.sink, testCall());
    const target = join(folder, 'restored');
    expect(await first.apm.recoverable.restore(snapshot.reader, { folder: target }, testCall())).toBeDefined();
    const restored = await started(startMs + 240_000, target);
    expect(restored.apm.forecast(query)).toEqual(first.apm.forecast(query));
    await restored.apm.stop();
    const numbers = join(target, 'numbers');
    const [name = ''] = (await readdir(numbers)).filter((one) => one.endsWith('.load'));
    await writeFile(join(numbers, name), 'theirs');
    expect(await first.apm.recoverable.verify({ folder: target }, testCall())).toMatchObject([
      { path: `numbers/${name}`, severity: 'error' },
    ]);
  });

  it('loses at most the steps since it was written when the process is killed', { timeout: 60_000 }, async () => {
    const source = (path: string): string => new URL(path, import.meta.url).href;
    const program = `
      import { readdir } from 'node:fs/promises';
      import { fakeClock } from '@mnops/core/testing';
      import { PerformanceMonitoringManager } from ${JSON.stringify(source('../performance-monitoring-manager.ts'))};
      import { spanOf } from ${JSON.stringify(source('../testing/spans.ts'))};
      const clock = fakeClock({ nowMs: ${startMs} });
      const folder = ${JSON.stringify(folder)};
      const analysis = ${JSON.stringify(analysis)};
      const apm = new PerformanceMonitoringManager({ service: 'test', clock, registerGlobals: false, analysis, folder });
      await apm.start();
      let id = 0;
      const request = () => {
        id += 1;
        const facts = { trace: String(id), id: String(id), name: 'GET /items', kind: 'server', durationMs: 10 };
        return spanOf({ ...facts, startMs: clock.now() });
      };
      const second = async () => {
        await apm.ingest([request(), request(), request(), request(), request()]);
        await clock.advance(1000);
        await new Promise((resolve) => setTimeout(resolve, 1));
      };
      while (!(await readdir(folder + '/numbers')).some((name) => name.endsWith('.load'))) await second();
      for (let i = 0; i < 20; i += 1) await second();
      process.kill(process.pid, 'SIGKILL');
    `;
    const flags = ['--conditions=@mnops/source', '--import', import.meta.resolve('tsx'), '--input-type=module'];
    const child = spawn(process.execPath, [...flags, '-e', program], { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
    } finally {
      child.kill('SIGKILL');
    }
    const [name = ''] = await loads();
    const { load } = await readLoad(join(folder, 'numbers'), name.replace('.load', ''));
    const runs = load.operations[0]?.runs ?? [];
    const complete = load.untilMs / load.stepMs - (runs[0]?.firstStep ?? 0);
    expect(complete).toBeGreaterThan(25);
    expect(runs.flatMap(({ calls }) => [...calls]).slice(1, complete)).toEqual(new Array(complete - 1).fill(10));
    const next = await started(startMs + 120_000);
    expect(next.damage.filter(({ file }) => file.endsWith('.load'))).toEqual([]);
    expect(next.apm.forecast(query).reason).toBe('too-short');
  });
});
