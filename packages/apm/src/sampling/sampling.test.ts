import { codeOf } from '@mnops/core';
import type { ExportAnswer, Span, TraceExporter } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import { type Span as OtelSpan, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import type { APMConfig } from '../config.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { randomOf } from '../testing/random.js';
import { testExporter } from '../testing/test-exporter.js';
import { adjustedCountOf } from './adjusted-count.js';

const managers: PerformanceMonitoringManager[] = [];

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.stop();
});

async function started(config: APMConfig): Promise<PerformanceMonitoringManager> {
  const manager = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, ...config });
  managers.push(manager);
  await manager.start();
  return manager;
}

function collector(answer: Partial<ExportAnswer> = {}): { exporter: TraceExporter; spans: Span[] } {
  const spans: Span[] = [];
  const exporter = testExporter(({ groups, spanCount }) => {
    spans.push(...groups.flatMap((group) => group.spans));
    return { accepted: spanCount, rejected: 0, ...answer };
  });
  return { exporter, spans };
}

/** One request: a server span around a client span. */
function request(apm: PerformanceMonitoringManager, failed = false, parent?: Record<string, string>): OtelSpan {
  const options = { kind: 'server' as const, attributes: { 'http.route': '/items' }, parent };
  return apm.trace('GET /items', options, (span) => {
    apm.trace('read', { kind: 'client', attributes: { 'db.namespace': 'stock' } }, () => undefined);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    return span;
  });
}

function assertExact(apm: PerformanceMonitoringManager): void {
  const { spans, sampling } = apm.stats();
  const lost = Object.values(sampling.droppedSpans).reduce((sum, count) => sum + count, 0);
  expect(sampling.keptSpans + sampling.waitingSpans + lost).toBe(spans.ended + spans.joined);
}

describe('unsampled spans', () => {
  it('record nothing, are valid, and tell those below and beyond', async () => {
    const { exporter, spans } = collector();
    const apm = await started({ exporters: [exporter], sampling: { head: { kind: 'always-off' } } });
    const [outer, inner, headers] = apm.trace('outer', (span) =>
      apm.trace('inner', (below) => {
        const written: Record<string, string> = {};
        apm.inject(written);
        return [span, below, written] as const;
      }),
    );
    expect(outer.isRecording()).toBe(false);
    expect(trace.isSpanContextValid(inner.spanContext())).toBe(true);
    expect(inner.spanContext().traceId).toBe(outer.spanContext().traceId);
    expect(inner.spanContext().spanId).not.toBe(outer.spanContext().spanId);
    expect(inner.spanContext()).toBe(inner.spanContext());
    const { traceId, spanId } = inner.spanContext();
    expect(headers['traceparent']).toBe(`00-${traceId}-${spanId}-02`);
    const theirs = new ParentBasedSampler({ root: new AlwaysOnSampler() });
    expect(theirs.shouldSample(apm.extract(headers), traceId, 'x', 0, {}, []).decision).toBe(0);
    await apm.flush();
    expect(spans).toEqual([]);
    expect(apm.stats()).toMatchObject({
      spans: { started: 0 },
      sampling: { unsampledSpans: 2 },
      traces: { traces: 0 },
    });
  });

  it('keep the trace state of the caller without its threshold', async () => {
    const apm = await started({ sampling: { head: { kind: 'always-off' } } });
    const parent = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'ot=th:8;k:v,other=1' };
    const span = request(apm, false, parent);
    expect(span.spanContext()).toMatchObject({ traceId: 'a'.repeat(32), traceFlags: 0 });
    expect(span.spanContext().traceState?.serialize()).toBe('ot=k:v,other=1');
  });
});

describe('figures of sampled spans', () => {
  it('stand for all: baselines, map and request figures', async () => {
    const apm = await started({ sampling: { head: { kind: 'probability', probability: 0.25 } } });
    for (let i = 0; i < 8_000; i += 1) request(apm);
    const { spans, sampling } = apm.stats();
    expect(spans.started + sampling.unsampledSpans).toBe(16_000);
    expect(spans.started).toBe(apm.stats().sampling.keptSpans);
    const all = 4 * (spans.started / 2);
    expect(Math.abs(all / 8_000 - 1)).toBeLessThan(0.1);
    expect(apm.baselines({ operation: 'GET /items' })[0]?.count).toBe(all);
    expect(apm.serviceMap().dependencies).toMatchObject([{ client: 'shop', server: 'stock', calls: all }]);
    for await (const found of apm.findTraces({ limit: 1 })) {
      expect(found).toMatchObject({ adjustedCount: 4, keptBy: 'head' });
      expect(found.root?.traceState).toBe('ot=th:c');
    }
    assertExact(apm);
  });

  it('count what a caller sampled by its share, and once where all requests are recorded', async () => {
    const parent = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'ot=th:8' };
    const following = await started({});
    request(following, false, parent);
    expect(following.baselines({ operation: 'GET /items' })[0]?.count).toBe(2);
    const deciding = await started({ sampling: { tail: {} } });
    request(deciding, false, parent);
    expect(deciding.baselines({ operation: 'GET /items' })[0]?.count).toBe(1);
    expect(await deciding.getTrace('a'.repeat(32))).toMatchObject({ keptBy: 'rare', adjustedCount: 1 });
  });
});

const plain = { rareBelowPerHour: 0, slowerThan: { durationMs: 60_000 }, probability: 0 } as const;

describe('tail sampling', () => {
  it('keeps failures, delivers and stores nothing else, and the analysis sees all', async () => {
    const { exporter, spans } = collector();
    const apm = await started({ exporters: [exporter], sampling: { tail: plain } });
    const failed = new Set<string>();
    for (let i = 0; i < 100; i += 1) {
      const span = request(apm, i % 10 === 0);
      if (i % 10 === 0) failed.add(span.spanContext().traceId);
      expect(span.spanContext().traceFlags & 1).toBe(0);
      if (i === 1) expect(await apm.getTrace(span.spanContext().traceId)).toBeUndefined();
    }
    await apm.flush();
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(failed);
    expect(spans).toHaveLength(20);
    expect(spans.every(({ traceFlags }) => (traceFlags & 1) === 1)).toBe(true);
    expect(apm.baselines({ operation: 'GET /items' })[0]).toMatchObject({ count: 100, errorShare: 0.1 });
    for await (const found of apm.findTraces()) {
      expect(found).toMatchObject({ keptBy: 'error', adjustedCount: 1, complete: true });
    }
    expect(apm.stats().sampling).toMatchObject({
      keptTraces: { error: 10 },
      keptSpans: 20,
      droppedTraces: 90,
      droppedSpans: { probability: 180 },
      waitingBytes: 0,
    });
    assertExact(apm);
  });

  it('tells other services by its mode', async () => {
    for (const mode of ['local', 'propagate'] as const) {
      const apm = await started({ sampling: { tail: { ...plain, mode } } });
      const span = request(apm);
      expect(span.spanContext().traceFlags & 1).toBe(mode === 'local' ? 0 : 1);
    }
  });

  it('keeps what a caller keeps, and decides anew what it does not', async () => {
    const id = 'a'.repeat(32);
    const apm = await started({ sampling: { tail: plain } });
    request(apm, false, { traceparent: `00-${id}-${'b'.repeat(16)}-01` });
    expect(await apm.getTrace(id)).toMatchObject({ keptBy: 'caller', adjustedCount: 1 });
    request(apm, true, { traceparent: `00-${'c'.repeat(32)}-${'b'.repeat(16)}-00` });
    expect(await apm.getTrace('c'.repeat(32))).toMatchObject({ keptBy: 'error' });
    const propagating = await started({ sampling: { tail: { ...plain, mode: 'propagate' } } });
    expect(request(propagating, true, { traceparent: `00-${id}-${'b'.repeat(16)}-00` }).isRecording()).toBe(false);
    expect(propagating.stats().spans.started).toBe(0);
  });

  it('keeps the same traces in every service of one probability, whose kept spans stand for all', async () => {
    const tail = { ...plain, mode: 'propagate', probability: 0.2, maxTracesPerSecond: 1e6 } as const;
    const [web, api] = await Promise.all([
      started({ service: 'web', sampling: { tail } }),
      started({ service: 'api', sampling: { tail } }),
    ]);
    for (let i = 0; i < 2_000; i += 1) {
      web.trace('GET /', { kind: 'client' }, () => {
        const headers: Record<string, string> = {};
        web.inject(headers);
        request(api, false, headers);
      });
    }
    const kept: string[][] = [];
    const observer = await started({});
    for (const apm of [web, api]) {
      const ids: string[] = [];
      for await (const { traceId, spans, adjustedCount, keptBy } of apm.findTraces({ limit: 10_000 })) {
        ids.push(traceId);
        expect([adjustedCount, keptBy]).toEqual([5, 'probability']);
        expect(spans.every((span) => adjustedCountOf(span) === 5)).toBe(true);
        await observer.ingest(spans);
      }
      kept.push(ids.sort());
      assertExact(apm);
    }
    expect(kept[0]).toEqual(kept[1]);
    const count = (kept[0]?.length ?? 0) * 5;
    expect(Math.abs(count / 2_000 - 1)).toBeLessThan(0.2);
    expect(observer.baselines({ operation: 'GET /items' })[0]?.count).toBe(count);
    expect(observer.serviceMap().dependencies.find(({ server }) => server === 'api')?.calls).toBe(count);
  });

  it('decides when the last of several local roots has ended, and late spans follow', async () => {
    const apm = await started({ sampling: { tail: plain } });
    const id = await apm.trace('outer', async (outer) => {
      const headers: Record<string, string> = {};
      apm.inject(headers);
      request(apm, false, headers);
      const late = apm.tracer.startSpan('late');
      outer.setStatus({ code: SpanStatusCode.ERROR });
      setTimeout(() => late.end(), 1);
      return outer.spanContext().traceId;
    });
    while (apm.stats().spans.open > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const found = await apm.getTrace(id);
    expect(found?.spans.map(({ name }) => name).sort()).toEqual(['GET /items', 'late', 'outer', 'read']);
    expect(found).toMatchObject({ keptBy: 'error', complete: true });
    expect(apm.stats().sampling.lateSpans).toBe(1);
    assertExact(apm);
  });

  it('decides after ten minutes what has not ended, and everything at the stop', async () => {
    const clock = fakeClock({ nowMs: 1_700_000_000_000 });
    const apm = await started({ clock, sampling: { tail: { ...plain, probability: 1 } } });
    const root = apm.tracer.startSpan('root');
    apm.trace('child', { parent: trace.setSpan(ROOT_CONTEXT, root) }, () => undefined);
    expect(apm.stats().sampling).toMatchObject({ waitingSpans: 1, decidedEarly: 0 });
    for (let second = 0; second <= 601; second += 1) await clock.advance(1_000);
    expect(apm.stats().sampling).toMatchObject({ waitingSpans: 0, keptSpans: 1, decidedEarly: 1 });
    root.end();
    expect(apm.stats().sampling).toMatchObject({ keptSpans: 2, waitingSpans: 0 });
    const other = apm.tracer.startSpan('other');
    apm.trace('child', { parent: trace.setSpan(ROOT_CONTEXT, other) }, () => undefined);
    await apm.stop();
    expect(apm.stats().sampling).toMatchObject({ keptSpans: 3, waitingSpans: 0, waitingBytes: 0 });
    assertExact(apm);
  });

  it('is exact whatever ends when, within its bounds', async () => {
    const random = randomOf(5);
    const { exporter, spans } = collector();
    const apm = await started({
      exporters: [exporter],
      queue: { maxSpans: 1e6, maxBytes: 1e9 },
      sampling: {
        tail: {
          maxBytes: 60_000,
          maxSpansPerTrace: 20,
          decisionCacheSize: 16,
          probability: 0.3,
          maxTracesPerSecond: 5,
        },
      },
    });
    const open: OtelSpan[] = [];
    for (let i = 0; i < 3_000; i += 1) {
      const above = open[Math.floor(random() * open.length)];
      const context = above === undefined || random() < 0.2 ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, above);
      open.push(apm.tracer.startSpan('work', {}, context));
      if (open.length > 60) {
        const [span] = open.splice(Math.floor(random() * open.length), 1);
        if (random() < 0.02) span?.setStatus({ code: SpanStatusCode.ERROR });
        span?.end();
      }
      if (i % 100 === 0) {
        assertExact(apm);
        expect(apm.stats().sampling.waitingBytes).toBeLessThanOrEqual(60_000);
      }
    }
    for (const span of open) span.end();
    await apm.stop();
    assertExact(apm);
    const { sampling } = apm.stats();
    expect(sampling).toMatchObject({ waitingSpans: 0, waitingBytes: 0 });
    expect(spans).toHaveLength(sampling.keptSpans);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    expect(sampling.decidedEarly).toBeGreaterThan(0);
  });
});

describe('samplers from outside', () => {
  it('are asked at every span', async () => {
    const sampler = new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.3) });
    const apm = await started({ sampling: { head: { kind: 'custom', sampler: sampler as never } } });
    let recorded = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const { traceId, traceFlags } = request(apm).spanContext();
      const theirs = sampler.shouldSample(ROOT_CONTEXT, traceId, 'GET /items', 1, {}, []).decision === 2;
      expect((traceFlags & 1) === 1).toBe(theirs);
      if (theirs) recorded += 2;
    }
    expect(apm.stats().spans.started).toBe(recorded);
    expect(apm.stats().sampling.unsampledSpans).toBe(2_000 - recorded);
  });

  it('may record for the figures alone, and cost nothing when they throw', async () => {
    const { exporter, spans } = collector();
    let decide = (): { decision: number } => ({ decision: 1 });
    const apm = await started({
      exporters: [exporter],
      sampling: { head: { kind: 'custom', sampler: { shouldSample: () => decide() } } },
    });
    const { traceId } = request(apm).spanContext();
    expect(await apm.getTrace(traceId)).toBeUndefined();
    expect(apm.baselines({ operation: 'GET /items' })[0]?.count).toBe(1);
    expect(apm.stats().sampling.droppedSpans['not-sampled']).toBe(2);
    decide = () => {
      throw new Error('broken sampler');
    };
    request(apm);
    await apm.flush();
    expect(spans).toHaveLength(2);
    assertExact(apm);
  });
});

it('heeds the rates that an exporter hands back', async () => {
  const { exporter } = collector({ samplingRates: new Map([['service:shop,env:', 0]]) });
  const head = { kind: 'back-end-rates', otherwise: { kind: 'always-on' } } as const;
  const apm = await started({ exporters: [exporter], sampling: { head } });
  request(apm);
  await apm.flush();
  expect(request(apm).isRecording()).toBe(false);
  expect(apm.stats().sampling.unsampledSpans).toBe(2);
});

it.each([
  ['sampling.head', { head: { kind: 'sometimes' } }],
  ['sampling.head.ratio', { head: { kind: 'ratio', ratio: 2 } }],
  [
    'sampling.head.root.probability',
    { head: { kind: 'parent-based', root: { kind: 'probability', probability: '1' } } },
  ],
  [
    'sampling.head.rules.0.colour',
    {
      head: { kind: 'rules', rules: [{ colour: 1, sampler: { kind: 'always-on' } }], otherwise: { kind: 'always-on' } },
    },
  ],
  ['sampling.head.sampler.shouldSample', { head: { kind: 'custom', sampler: {} } }],
  ['sampling.tail.probability', { tail: { probability: -1 } }],
  ['sampling.tail.slowerThan', { tail: { slowerThan: 'p50' } }],
  ['sampling.tail.rules.0.action', { tail: { rules: [{ name: 'x' }] } }],
])('refuses a wrong %s', (field, sampling) => {
  let error: unknown;
  try {
    new PerformanceMonitoringManager({ service: 'shop', sampling: sampling as never });
  } catch (thrown) {
    error = thrown;
  }
  expect(codeOf(error)).toBe('MNOPS_CORE_CONFIG_INVALID');
  expect(JSON.stringify((error as { details?: unknown }).details ?? String(error))).toContain(field.split('.').at(-1));
  expect(String(error)).toContain(field);
});
