import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Fault, faultServer } from '@mnops/core/testing';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import { otlp } from '../src/providers/otlp/index.js';

const faults: readonly Fault[] = [
  { status: 429, headers: { 'retry-after': '0' } },
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 429, headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } },
  { status: 503 },
  { status: 502 },
  { status: 500 },
  { status: 400, body: { message: 'no' } },
  { status: 401 },
  { status: 413 },
  { status: 307, headers: { location: '/elsewhere' } },
  { status: 200, body: '<html>' },
  { status: 200, body: Buffer.alloc(5 * 1_048_576, 'x') },
  { status: 200, body: { partialSuccess: { rejectedSpans: '3' } } },
  { status: 200, body: { partialSuccess: { rejectedSpans: '-5' } } },
  { status: 200, body: { partialSuccess: { rejectedSpans: '999999' } } },
  'reset',
  'truncated',
  'wrong-length',
  'garbage',
  'oversized',
  'hang',
];

const campaign: Campaign = defineCampaign({
  package: 'apm',
  suite: 'accounting',
  bar: 'A4',
  name: 'every span is delivered, held or dropped with a reason, under scripted faults',
  goal: '0 of 500',
  defaultCount: 500,
  shortCount: 15,
  async run({ count, random, fail, progress }) {
    for (let i = 0; i < count; i += 1) {
      progress(i);
      const server = await faultServer();
      const folder = random() < 0.5 ? undefined : await mkdtemp(join(tmpdir(), 'mnops-accounting-'));
      server.next(Array.from({ length: random() * 8 }, () => faults[Math.floor(random() * faults.length)] ?? 'reset'));
      const apm = new PerformanceMonitoringManager({
        service: 'counted',
        registerGlobals: false,
        queue: { maxSpans: 60, batchSpans: 8, delayMs: 1, exportTimeoutMs: 60 },
        ...(folder === undefined ? {} : { folder, spool: { intervalMs: 10 } }),
        random: () => random() * 0.01,
        exporters: [otlp({ url: server.url })],
      });
      await apm.start();
      const open = [];
      for (let span = 0; span < 30 + random() * 80; span += 1) {
        const begun = apm.tracer.startSpan('work');
        if (random() < 0.05) open.push(begun);
        else begun.end();
        if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
        check(apm, fail, i);
      }
      await apm.flush({ timeoutMs: 400 }).catch(() => undefined);
      check(apm, fail, i);
      await apm.stop({ graceMs: random() < 0.5 ? 0 : 200 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (const span of open) span.end();
      check(apm, fail, i);
      const left = apm.stats().exporters['otlp']?.held ?? 0;
      if (folder === undefined && left !== 0) fail(`trial ${i}: spans are held after the stop`);
      if (folder !== undefined) {
        server.reset();
        await replay(folder, server.url, left, (what) => fail(`trial ${i}: ${what}`));
        await rm(folder, { recursive: true, force: true });
      }
      await server.close();
    }
    progress(count);
  },
});

/** What one manager left on disk is what the next one delivers. */
async function replay(folder: string, url: string, left: number, fail: (what: string) => void): Promise<void> {
  const exporters = [otlp({ url })];
  const next = new PerformanceMonitoringManager({ service: 'counted', registerGlobals: false, folder, exporters });
  await next.start();
  const { replayed = 0 } = next.stats().exporters['otlp'] ?? {};
  if (replayed !== left) fail(`${left} spans were left, ${replayed} found`);
  await next.flush();
  const { delivered = 0, held = 0 } = next.stats().exporters['otlp'] ?? {};
  if (delivered !== left || held !== 0) fail(`${left} spans were left, ${delivered} delivered`);
  await next.stop();
}

function check(apm: PerformanceMonitoringManager, fail: (what: string) => void, trial: number): void {
  const { spans, exporters } = apm.stats();
  const { accepted = 0, delivered = 0, held = 0, dropped } = exporters['otlp'] ?? {};
  const lost = Object.values(dropped ?? {}).reduce((sum, value) => sum + value, 0);
  if (spans.started !== spans.open + delivered + held + lost || accepted !== spans.ended) {
    fail(
      `trial ${trial}: started ${spans.started}, open ${spans.open}, delivered ${delivered}, held ${held}, lost ${lost}`,
    );
  }
}

export default campaign;
