import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { eventually, faultServer, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apmError } from '../codes.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { otlp } from '../providers/otlp/index.js';
import {
  BackEnd,
  idsOf,
  numberedSpans,
  type SpooledDispatcher,
  spooledDispatcher,
} from '../testing/spooled-dispatcher.js';

let folder: string;
const open: SpooledDispatcher[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-refused-'));
});
afterEach(async () => {
  for (const { dispatcher } of open.splice(0)) await dispatcher.close(new Error('end'));
  await rm(folder, { recursive: true, force: true });
});

async function started(backEnd: BackEnd): Promise<SpooledDispatcher> {
  const made = spooledDispatcher(folder, backEnd);
  open.push(made);
  await made.opened;
  return made;
}

const refusal = () => apmError('MNOPS_APM_EXPORT_REJECTED', 'refused with status 400');

describe('a back end that refuses everything', () => {
  it('keeps nobody from the truth for a minute, and loses nothing', async () => {
    const backEnd = new BackEnd();
    backEnd.answer = refusal;
    const made = await started(backEnd);
    for (const span of numberedSpans(30)) made.dispatcher.add(span);
    for (let second = 0; second < 60; second += 1) {
      await made.clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(made.dispatcher.stats).toMatchObject({ down: true, held: 30, dropped: { rejected: 0 } });
    expect(backEnd.requests).toBeLessThan(40);
    backEnd.takeAll();
    await eventually(async () => {
      await made.clock.advance(1_000);
      return made.dispatcher.stats.delivered === 30;
    });
    expect(made.dispatcher.stats.down).toBe(false);
    expect(backEnd.taken.sort()).toEqual(idsOf(numberedSpans(30)).sort());
  });

  it('ends the wait for spans after five minutes: they are put aside, told of, and sent when they are moved back', async () => {
    const backEnd = new BackEnd();
    backEnd.answer = refusal;
    const made = await started(backEnd);
    for (const span of numberedSpans(5)) made.dispatcher.add(span);
    await eventually(async () => {
      await made.clock.advance(5_000);
      return made.dispatcher.stats.dropped.rejected === 5;
    });
    expect(made.asideFiles).toHaveLength(1);
    const [file = ''] = made.asideFiles;
    expect(dirname(file)).toBe(join(folder, 'one', 'quarantine'));
    await made.dispatcher.close(new Error('stopped'));
    backEnd.takeAll();
    const next = await started(backEnd);
    expect(next.dispatcher.stats.spool?.quarantinedBytes).toBeGreaterThan(576);
    await rename(file, join(folder, 'one', basename(file)));
    await eventually(async () => {
      await next.clock.advance(30_000);
      return next.dispatcher.stats.delivered === 5;
    });
    expect(backEnd.taken.sort()).toEqual(idsOf(numberedSpans(5)).sort());
    await eventually(async () => !(await readdir(join(folder, 'one'))).includes(basename(file)));
  });

  it('is away for a process that ends: its spans stay on disk', async () => {
    const backEnd = new BackEnd();
    backEnd.answer = refusal;
    const made = await started(backEnd);
    for (const span of numberedSpans(5)) made.dispatcher.add(span);
    await made.dispatcher.flushOrKeep(testCall());
    expect(made.dispatcher.stats).toMatchObject({ held: 5, spool: { spans: 5 } });
  });
});

describe('the health of a manager without a folder', () => {
  it.each([
    [401, 'MNOPS_CORE_UNAUTHENTICATED'],
    [403, 'MNOPS_CORE_ACCESS_DENIED'],
    [404, 'MNOPS_CORE_NOT_FOUND'],
  ])('tells that the back end answers %i, and that it takes spans again', async (status, code) => {
    const server = await faultServer();
    const exporters = [otlp({ url: server.url })];
    const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, exporters });
    const events: string[] = [];
    apm.on('exporter:down', (down) => events.push(`down ${down.code}`));
    apm.on('exporter:up', () => events.push('up'));
    await apm.start();
    try {
      server.next({ status });
      apm.trace('work', () => undefined);
      await apm.flush();
      expect(apm.stats().exporters['otlp']).toMatchObject({ down: true, dropped: { failed: 1 } });
      expect((await apm.health()).status).toBe('degraded');
      expect((await apm.health()).reasons.join()).toContain('otlp');
      apm.trace('work', () => undefined);
      await apm.flush();
      expect(apm.stats().exporters['otlp']).toMatchObject({ down: false, delivered: 1 });
      expect((await apm.health()).status).toBe('healthy');
      expect(events).toEqual([`down ${code}`, 'up']);
    } finally {
      await apm.stop();
      await server.close();
    }
  });

  it('is not spoiled by one batch that is refused among others', async () => {
    const backEnd = new BackEnd();
    let refused = 0;
    backEnd.answer = (ids) => {
      refused += 1;
      return refused === 2 ? refusal() : { accepted: ids.length, rejected: 0 };
    };
    const made = await started(backEnd);
    for (const span of numberedSpans(30)) made.dispatcher.add(span);
    await made.dispatcher.flush(testCall());
    expect(made.dispatcher.stats).toMatchObject({ down: false, delivered: 30 });
  });
});

describe('an answer', () => {
  it.each([
    ['of 5 MiB', { status: 200, body: Buffer.alloc(5 * 1_048_576, 'x') }],
    ['without an end', 'oversized' as const],
  ])('%s is not taken for a request that is too large', async (_, fault) => {
    const server = await faultServer();
    const exporters = [otlp({ url: server.url })];
    const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, exporters });
    await apm.start();
    try {
      server.next(Array.from({ length: 200 }, () => fault));
      for (let i = 0; i < 64; i += 1) apm.trace('work', () => undefined);
      await apm.flush();
      expect(server.requests).toHaveLength(1);
      expect(apm.stats().exporters['otlp']).toMatchObject({ held: 0, dropped: { failed: 64, 'too-large': 0 } });
    } finally {
      await apm.stop();
      await server.close();
    }
  });
});
