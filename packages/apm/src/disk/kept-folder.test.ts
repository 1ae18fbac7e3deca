import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { openRecordLog } from '@mnops/core/files';
import type { Span, StorageDamage } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { TraceQuery } from '../store/trace-query.js';
import { spanOf } from '../testing/spans.js';
import { readNumbers, writeNumbers } from './numbers-file.js';

let folder: string;
const running: PerformanceMonitoringManager[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
});
afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
  await rm(folder, { recursive: true, force: true });
});

const startMs = Date.UTC(2026, 0, 7, 12);
type Config = ConstructorParameters<typeof PerformanceMonitoringManager>[0];

function manager(config: Config = {}, nowMs = startMs) {
  const clock = fakeClock({ nowMs });
  const damage: StorageDamage[] = [];
  const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, folder, clock, ...config });
  apm.on('storage:damaged', (found) => damage.push(found));
  running.push(apm);
  return { apm, clock, damage };
}

async function started(config: Config = {}, nowMs = startMs) {
  const made = manager(config, nowMs);
  await made.apm.start();
  return made;
}

const requests = (from: number, count: number, name = 'GET /'): Span[] =>
  Array.from({ length: count }, (_, i) =>
    spanOf({
      trace: (from + i).toString(16),
      id: (from + i).toString(16),
      name,
      kind: 'server',
      startMs: startMs + from + i,
      durationMs: 10 + ((from + i) % 10),
      error: (from + i) % 10 === 0,
      attributes: { 'http.route': '/', list: [1, 2], text: 'a'.repeat(50) },
    }),
  );

async function found(apm: PerformanceMonitoringManager, query: TraceQuery = { limit: 10_000 }): Promise<string[]> {
  const ids: string[] = [];
  for await (const { traceId } of apm.findTraces(query)) ids.push(traceId);
  return ids;
}
const idOf = (number: number): string => number.toString(16).padStart(32, '0');
const segments = async (): Promise<string[]> =>
  (await readdir(join(folder, 'traces')))
    .filter((name) => name.endsWith('.trc'))
    .map((name) => join(folder, 'traces', name));

describe('a folder', () => {
  it('gives each trace once, also one that leaves memory while they are read', async () => {
    const { apm } = await started({ store: { maxTraces: 20 } });
    await apm.ingest(requests(1, 20));
    await apm.flush();
    const ids: string[] = [];
    for await (const { traceId } of apm.findTraces({ limit: 1_000 })) {
      ids.push(traceId);
      if (ids.length !== 10) continue;
      await apm.ingest(requests(101, 20));
      await apm.flush();
    }
    expect(ids).toHaveLength(new Set(ids).size);
    expect(ids).toHaveLength(20);
  });

  it('brings traces, baselines and map back in the next process, exactly', async () => {
    const first = await started();
    const spans = [
      ...requests(1, 60),
      spanOf({
        trace: 'abc',
        id: 'aa',
        service: 'web',
        name: 'call',
        kind: 'client',
        attributes: { 'server.address': 'shop' },
      }),
      {
        ...spanOf({ trace: 'abc', id: 'ab', parent: 'aa', name: 'GET /x', kind: 'server' }),
        traceState: 'a=b',
        status: { code: 'error' as const, message: 'broke' },
        attributes: {
          nan: Number.NaN,
          endless: [Number.NEGATIVE_INFINITY, 1],
          surrogate: '\ud800',
          yes: true,
          number: 'NaN',
        },
        events: [{ name: 'exception', timeUnixNano: 1_700_000_000_000_000_001n, attributes: { a: 'b' } }],
        links: [{ traceId: idOf(7), spanId: idOf(7).slice(16), attributes: {} }],
        dropped: { attributes: 1, events: 2, links: 3 },
      },
    ];
    await first.apm.ingest(spans);
    const before = {
      trace: await first.apm.getTrace(idOf(0xabc)),
      baselines: first.apm.baselines(),
      map: first.apm.serviceMap(),
    };
    const ids = await found(first.apm);
    await first.apm.stop();

    const second = await started({}, startMs + 60_000);
    expect(await second.apm.getTrace(idOf(0xabc))).toEqual(before.trace);
    expect((await found(second.apm)).sort()).toEqual(ids.sort());
    expect(second.apm.baselines()).toEqual(before.baselines);
    expect(second.apm.serviceMap()).toEqual(before.map);
    expect(second.damage).toEqual([]);
    // What comes now adds to it.
    await second.apm.ingest(requests(1_000, 5));
    expect(second.apm.baselines({ operation: 'GET /' })[0]?.count).toBe(65);
    expect(await found(second.apm, { error: true, from: new Date(startMs + 1_000) })).toEqual([idOf(1_000)]);
  });

  it('finds what left the memory, newest first, within the limit', async () => {
    const { apm } = await started({ store: { maxTraces: 20 } });
    for (let from = 1; from <= 200; from += 50) {
      await apm.ingest(requests(from, 50));
      await apm.flush();
    }
    const ids = await found(apm);
    expect(ids).toEqual(Array.from({ length: 200 }, (_, i) => idOf(200 - i)));
    expect(await found(apm, { limit: 30 })).toEqual(ids.slice(0, 30));
    expect((await found(apm, { error: true })).length).toBe(20);
    expect((await apm.getTrace(idOf(3)))?.spans.length).toBe(1);
    expect(await apm.getTrace(idOf(5_000))).toBeUndefined();
    expect(apm.stats().disk).toMatchObject({ writing: true, tracesWritten: 200, tracesLost: 0, tracesWaiting: 0 });
  });

  it('joins the spans of a trace that came after it was written', async () => {
    const { apm, clock } = await started({ store: { maxTraces: 3 } });
    // By itself, two seconds after the last span.
    const written = async (): Promise<void> => {
      await expect
        .poll(async () => {
          await clock.advance(1_000);
          return apm.stats().disk?.tracesWaiting;
        })
        .toBe(0);
    };
    await apm.ingest([spanOf({ trace: 'a', id: '1', kind: 'server' })]);
    await written();
    await apm.ingest(requests(100, 5));
    await apm.ingest([spanOf({ trace: 'a', id: '2', parent: '1' })]);
    await written();
    expect((await apm.getTrace(idOf(0xa)))?.spans.map(({ spanId }) => spanId).sort()).toEqual(
      ['1', '2'].map((id) => id.padStart(16, '0')),
    );
  });

  it('keeps to its bytes and its age, the oldest going first', async () => {
    const { apm } = await started({ store: { maxTraces: 50, maxDiskBytes: 200_000, maxAgeMs: 7_200_000 } });
    for (let from = 1; from <= 20_000; from += 1_000) {
      await apm.ingest(requests(from, 1_000));
      await apm.flush();
    }
    const total = (await Promise.all((await segments()).map((file) => readFile(file)))).reduce(
      (sum, { length }) => sum + length,
      0,
    );
    expect(total).toBeLessThanOrEqual(200_000);
    const ids = await found(apm);
    expect(ids[0]).toBe(idOf(20_000));
    expect(ids.length).toBeGreaterThan(1_000);
    expect(ids.length).toBeLessThan(20_000);
    expect(apm.stats().disk?.filesRemoved).toBeGreaterThan(0);
  });

  it('is shared by processes that live at once, each writing files of its own', async () => {
    const [a, b] = [await started(), await started()];
    await a.apm.ingest(requests(1, 10, 'GET /a'));
    await b.apm.ingest(requests(100, 10, 'GET /b'));
    await a.apm.flush();
    await b.apm.flush();
    expect((await found(a.apm)).length).toBe(20);
    expect((await found(b.apm)).length).toBe(20);
    await a.apm.stop();
    await b.apm.stop();
    const c = await started();
    expect(
      c.apm
        .baselines()
        .map(({ operation, count }) => [operation, count])
        .sort(),
    ).toEqual([
      ['GET /a', 10],
      ['GET /b', 10],
    ]);
    expect(c.damage).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.endsWith('.lock')).length).toBe(1);
  });

  it('reads what is whole of files that are cut or damaged, tells what is lost, and goes on', async () => {
    const first = await started();
    for (let from = 1; from <= 60; from += 20) {
      await first.apm.ingest(requests(from, 20, `GET /${from}`));
      await first.apm.flush();
    }
    await first.apm.stop();
    const [file] = await segments();
    const bytes = await readFile(file as string);
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] as number) ^ 0xff;
    await writeFile(file as string, bytes.subarray(0, bytes.length - 10));
    const numbers = join(folder, 'numbers', (await readdir(join(folder, 'numbers')))[0] as string);
    const known = await readFile(numbers);
    known[Math.floor(known.length / 2)] = (known[Math.floor(known.length / 2)] as number) ^ 1;
    await writeFile(numbers, known);
    const second = await started();
    expect(second.apm.status).toBe('ready');
    expect(await found(second.apm)).toHaveLength(20);
    expect(second.apm.baselines()).toHaveLength(2);
    expect(second.damage.length).toBeGreaterThanOrEqual(3);
    expect(second.apm.stats().disk?.damagedRecords).toBeGreaterThanOrEqual(3);
    await second.apm.ingest(requests(500, 5));
    await second.apm.stop();
    const third = await started();
    expect(await found(third.apm)).toHaveLength(25);
  });

  it('leaves a folder alone until the start', async () => {
    const { apm } = manager();
    await apm.ingest(requests(1, 5));
    await apm.flush();
    await apm.stop();
    expect(await readdir(folder)).toEqual([]);
  });

  it('goes on in memory when the folder is a file, and writes again once it can', async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, 'in the way');
    const { apm, clock } = manager();
    const told: unknown[] = [];
    apm.on('folder:failed', (why) => told.push(why));
    apm.on('folder:recovered', (what) => told.push(what));
    await apm.start();
    expect(apm.status).toBe('degraded');
    expect((await apm.health()).reasons[0]).toMatch(
      /cannot be written to .* \(ENOTDIR\); .* remove it, or configure another/,
    );
    const why = {
      code: 'MNOPS_CORE_STORAGE_FAILED',
      reason: 'ENOTDIR',
      remedy: expect.stringContaining('A file stands'),
    };
    expect(told).toEqual([{ folder, ...why }]);
    await apm.ingest(requests(1, 5));
    expect(await found(apm)).toHaveLength(5);
    expect(apm.stats().disk?.writing).toBe(false);
    await rm(folder);
    await expect
      .poll(async () => {
        await clock.advance(10_000);
        return apm.status;
      })
      .toBe('ready');
    expect(told.slice(1)).toEqual([{ folder }]);
    await apm.stop();
    const second = await started();
    expect(second.apm.baselines()[0]?.count).toBe(5);
  });

  it('is made again when it is removed while it is in use, and belongs to its process', async () => {
    const { apm, clock, damage } = await started();
    await apm.ingest(requests(1, 5));
    await apm.flush();
    await rm(folder, { recursive: true });
    await apm.ingest(requests(100, 5));
    await expect
      .poll(async () => {
        await clock.advance(1_000);
        return (await readdir(folder).catch(() => [])).length;
      })
      .toBeGreaterThan(1);
    await apm.ingest(requests(200, 5));
    await apm.flush();
    expect(damage.map(({ file }) => file)).toEqual([folder]);
    expect(apm.status).toBe('ready');
    const other = await started();
    await other.apm.flush();
    await other.apm.stop();
    await apm.stop();
    const next = await started();
    expect(next.apm.baselines({ operation: 'GET /' })[0]?.count).toBe(15);
    expect((await found(next.apm)).length).toBeGreaterThanOrEqual(10);
  });

  it('is used beside things that are not ours: pipes, folders in the place of locks, names with control characters', async () => {
    const first = await started();
    await first.apm.ingest(requests(1, 5));
    await first.apm.stop();
    execFileSync('mkfifo', [join(folder, 'numbers', 'aa.num'), join(folder, 'traces', '000000001-aa.trc')]);
    await mkdir(join(folder, 'bb.lock'));
    await writeFile(join(folder, 'numbers', 'bb.num'), 'MNAPMNUM');
    await writeFile(join(folder, 'numbers', 'a\u001b[31m.num'), 'theirs');
    await writeFile(join(folder, 'numbers', 'cc.num.new'), 'half');
    const { apm } = await started();
    expect(apm.status).toBe('ready');
    expect(apm.baselines({ operation: 'GET /' })[0]?.count).toBe(5);
    expect(await readdir(join(folder, 'numbers'))).not.toContain('cc.num.new');
  });

  it('gives no trace that cannot be read whole, though its record is', async () => {
    const first = await started();
    await first.apm.ingest(requests(1, 3));
    await first.apm.stop();
    const [file = ''] = await segments();
    const log = await openRecordLog({ file, magic: 'MNAPMTRC', version: 1 });
    const span = {
      name: 'a',
      kind: 'server',
      spanId: idOf(9).slice(16),
      resource: 0,
      scope: 0,
      status: { code: 'ok' },
    };
    const rest = { startTimeUnixNano: '1', durationNano: '1', attributes: {}, events: [], links: [] };
    const bodies: unknown[] = [
      { ...span, ...rest, attributes: null },
      { ...span, ...rest, status: undefined },
      { ...span, ...rest, resource: 7 },
      { ...span, ...rest, links: [null] },
      { ...span, ...rest, events: [{ timeUnixNano: '1' }] },
      { ...span, ...rest, name: 7 },
      null,
    ];
    for (const odd of bodies) {
      const trace = { traceId: idOf(77), startMs, endMs: startMs, hasError: false, cut: 0, spans: [odd] };
      const head = Buffer.alloc(36);
      head[0] = 1;
      head.writeUInt16BE(1, 2);
      head.writeDoubleBE(startMs, 4);
      head.writeDoubleBE(startMs, 12);
      head.write(idOf(77), 20, 'hex');
      const body = { resources: [{}], scopes: [{ name: 's' }], traces: [trace] };
      await log.append(Buffer.concat([head, deflateRawSync(JSON.stringify(body))]));
    }
    await log.close();
    const { apm } = await started();
    const query = { service: 'shop', attributes: { a: 'b' } };
    expect(await found(apm, query)).toEqual([]);
    expect(await found(apm)).toHaveLength(3);
    expect(await apm.getTrace(idOf(77))).toBeUndefined();
  });

  it('keeps what is new after a wall clock was put back', async () => {
    const first = await started({ store: { maxDiskBytes: 65_536 } }, startMs + 30 * 86_400_000);
    for (let from = 1; from <= 3_000; from += 500) {
      await first.apm.ingest(requests(from, 500));
      await first.apm.flush();
    }
    await first.apm.stop();
    const { apm } = await started({ store: { maxTraces: 50, maxDiskBytes: 65_536 } });
    for (let from = 10_000; from < 13_000; from += 500) {
      await apm.ingest(requests(from, 500));
      await apm.flush();
    }
    await apm.ingest(requests(20_000, 50));
    expect((await found(apm)).filter((id) => id >= idOf(10_000) && id < idOf(20_000)).length).toBeGreaterThan(500);
  });

  it('keeps what is new after a wall clock was put forward, and lets it go once it is old', async () => {
    const { apm, clock } = await started({ store: { maxTraces: 50 } }, Date.now());
    // Long enough for files to be looked at more than once.
    const passMinutes = async (): Promise<void> => {
      for (let minute = 0; minute < 5; minute += 1) {
        await clock.advance(61_000);
        await apm.flush();
      }
    };
    await apm.ingest(requests(1, 500));
    await passMinutes();
    clock.jumpWallClock(30 * 86_400_000);
    await apm.ingest(requests(1_000, 500));
    await passMinutes();
    expect(apm.stats().disk?.filesRemoved).toBe(0);
    expect(await found(apm)).toHaveLength(1_000);
    await clock.advance(25 * 3_600_000);
    await passMinutes();
    expect(apm.stats().disk?.filesRemoved).toBeGreaterThan(0);
  });

  it('writes numbers as they are at one instant', async () => {
    const { apm } = await started();
    await apm.ingest(requests(1, 5));
    await apm.stop();
    const numbers = join(folder, 'numbers');
    const [id = ''] = (await readdir(numbers)).map((name) => name.replace('.num', ''));
    const { source } = await readNumbers(numbers, id);
    const operations = [...source.operations];
    const writing = writeNumbers(numbers, { ...source, operations });
    operations.length = 0;
    await writing;
    expect((await readNumbers(numbers, id)).source.operations).toHaveLength(1);
  });
});
