import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { callOf, codeOf } from '@mnops/core';
import { type Context, context, type Span as OtelSpan, propagation, SpanKind, trace } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import type { APMConfig } from './config.js';
import { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
import { spanOf } from './testing/spans.js';

const managers: PerformanceMonitoringManager[] = [];

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.stop();
});

async function started(config: APMConfig = {}): Promise<PerformanceMonitoringManager> {
  const manager = new PerformanceMonitoringManager({ service: 'shop', ...config });
  managers.push(manager);
  await manager.start();
  return manager;
}

async function allTraces(apm: PerformanceMonitoringManager, query = {}): Promise<string[]> {
  const ids: string[] = [];
  for await (const found of apm.findTraces(query)) ids.push(found.traceId);
  return ids;
}

describe('trace', () => {
  it('records a tree of spans over awaits', async () => {
    const apm = await started();
    const traceId = await apm.trace('POST /orders', { kind: 'server' }, async (span) => {
      span.setAttribute('order.items', 3);
      await delay(2);
      await apm.trace('reserve', async () => {
        await turn();
        apm.trace('SELECT', { kind: SpanKind.CLIENT, attributes: { 'db.namespace': 'stock' } }, () => undefined);
      });
      return span.spanContext().traceId;
    });
    const found = await apm.getTrace(traceId);
    expect(found?.complete).toBe(true);
    expect(found?.hasError).toBe(false);
    const [root, reserve, select] = found?.spans ?? [];
    expect([root?.name, root?.kind, root?.parentSpanId]).toEqual(['POST /orders', 'server', undefined]);
    expect(root?.attributes).toEqual({ 'order.items': 3 });
    expect(reserve?.parentSpanId).toBe(root?.spanId);
    expect([select?.parentSpanId, select?.kind]).toEqual([reserve?.spanId, 'client']);
    expect(root?.resource['service.name']).toBe('shop');
    expect(found?.durationMs).toBeGreaterThanOrEqual(1);
    // Starts are exact to the microsecond, so order holds within a millisecond.
    expect(reserve?.startTimeUnixNano).toBeGreaterThan(root?.startTimeUnixNano ?? 0n);
    expect((select?.startTimeUnixNano ?? 0n) % 1_000_000n).not.toBe(0n);
  });

  it('records errors of synchronous and asynchronous work and passes them on', async () => {
    const apm = await started();
    const failure = new RangeError('no stock');
    expect(() =>
      apm.trace('sync', () => {
        throw failure;
      }),
    ).toThrow(failure);
    await expect(apm.trace('async', async () => Promise.reject(failure))).rejects.toBe(failure);
    for await (const { spans, hasError } of apm.findTraces()) {
      expect(hasError).toBe(true);
      expect(spans[0]?.status).toEqual({ code: 'error', message: 'no stock' });
      expect(spans[0]?.events[0]).toMatchObject({
        name: 'exception',
        attributes: { 'exception.type': 'RangeError', 'exception.message': 'no stock' },
      });
    }
  });

  it('returns what the work returns, and runs a lazy thenable once', async () => {
    const apm = await started();
    expect(apm.trace('plain', () => 42)).toBe(42);
    let runs = 0;
    const lazy = {
      // biome would call this a mistake anywhere else: query builders do it.
      ['then'](resolve: (value: string) => void) {
        runs += 1;
        resolve('row');
      },
    };
    expect(await apm.trace('query', () => lazy)).toBe('row');
    expect(runs).toBe(1);
  });

  it('records nothing before start and after stop, and the work still runs', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'shop' });
    const tracer = apm.tracer;
    expect(apm.trace('early', (span) => span.isRecording())).toBe(false);
    expect(tracer.startActiveSpan('early', (span) => span.isRecording())).toBe(false);
    const headers = {};
    apm.inject(headers);
    expect(headers).toEqual({});
    expect(apm.extract({ traceparent: 'x' }).getValue(Symbol('any'))).toBeUndefined();
    await apm.start();
    expect(tracer.startSpan('now').isRecording()).toBe(true);
    await apm.stop();
    expect(apm.trace('late', (span) => span.isRecording())).toBe(false);
    expect(trace.getTracer('any').startSpan('late').isRecording()).toBe(false);
    await expect(apm.start()).rejects.toSatisfy((error) => codeOf(error) === 'MNOPS_CORE_CLOSED');
  });

  it('throws nothing at options, headers and results that throw when they are read', async () => {
    const apm = await started();
    const trap = new Proxy<Record<string, never>>(
      {},
      {
        get: () => {
          throw new Error('unreadable');
        },
      },
    );
    expect(apm.trace('options', trap, () => 1)).toBe(1);
    expect(apm.trace('options', { links: trap as never }, () => 2)).toBe(2);
    const returned: unknown = apm.trace('result', () => trap);
    expect(Object.is(returned, trap)).toBe(true);
    expect(apm.extract(trap).getValue(Symbol('any'))).toBeUndefined();
    expect(apm.stats().spans).toMatchObject({ started: 3, ended: 3, open: 0 });
  });

  it('throws nothing at wrong calls', async () => {
    const apm = await started();
    const wrong = apm.tracer as unknown as Record<string, (...all: unknown[]) => OtelSpan>;
    wrong['startSpan']?.(undefined, null);
    wrong['startSpan']?.('a', { links: [null], attributes: 7 });
    apm.trace(undefined as unknown as string, null as unknown as object, (span) => {
      const any = span as unknown as Record<string, (...all: unknown[]) => unknown>;
      for (const method of ['setAttribute', 'setAttributes', 'addEvent', 'addLink', 'addLinks', 'setStatus', 'end']) {
        for (const value of [undefined, null, 0, Symbol('x'), {}, () => 1]) any[method]?.(value, value, value);
      }
      any['recordException']?.(null);
    });
    apm.trace('hostile error', { parent: { traceparent: 5 } as unknown as Context }, () => 1);
    expect(() =>
      apm.trace('unreadable', () => {
        throw {
          toString() {
            throw new Error('no text');
          },
        };
      }),
    ).toThrow();
    apm.inject(Object.freeze({}));
    expect(apm.stats().spans.open).toBeLessThanOrEqual(2);
  });

  it('counts a span that is ended twice once', async () => {
    const apm = await started();
    const span = apm.tracer.startSpan('twice');
    span.end();
    span.end();
    expect(apm.stats().spans).toMatchObject({ started: 1, ended: 1, open: 0 });
    expect(await allTraces(apm)).toHaveLength(1);
  });

  it('cuts what is over the limits of a span and counts it', async () => {
    const apm = await started({ spanLimits: { attributes: 2, events: 1, valueLength: 10 } });
    const traceId = apm.trace('limited', (span) => {
      span.setAttributes({ a: 'x'.repeat(1_000), b: 1, c: 2 });
      span.addEvent('one').addEvent('two');
      return span.spanContext().traceId;
    });
    const [span] = (await apm.getTrace(traceId))?.spans ?? [];
    expect(span?.attributes).toEqual({ a: 'x'.repeat(10), b: 1 });
    expect(span?.dropped).toEqual({ attributes: 1, events: 1, links: 0 });
  });
});

describe('propagation', () => {
  it('carries trace, state and baggage over HTTP to another manager', async () => {
    const web = await started({ service: 'web' });
    const api = await started({ service: 'api', registerGlobals: false });
    let seen: string | undefined;
    const server = createServer((request, response) => {
      api.trace('GET /items', { kind: 'server', parent: request.headers }, (span) => {
        seen = propagation.getBaggage(api.extract(request.headers))?.getEntry('tenant')?.value;
        response.end(span.spanContext().traceId);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const baggage = propagation.createBaggage({ tenant: { value: 'ä b' } });
    const traceId = await context.with(propagation.setBaggage(context.active(), baggage), () =>
      web.trace('call api', { kind: 'client' }, async (span) => {
        const headers: Record<string, string> = {};
        web.inject(headers);
        const call = httpRequest({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', headers }).end();
        const [response] = await once(call, 'response');
        response.resume();
        await once(response, 'end');
        return span.spanContext().traceId;
      }),
    );
    server.close();
    expect(seen).toBe('ä b');
    const near = await web.getTrace(traceId);
    const far = await api.getTrace(traceId);
    expect(far?.spans[0]?.parentSpanId).toBe(near?.spans[0]?.spanId);
    expect(far?.spans[0]?.parentIsRemote).toBe(true);
    // The other process's spans join the trace, the map and the figures here.
    const report = await web.ingest(far?.spans ?? []);
    expect(report).toMatchObject({ accepted: 1, rejected: 0, repeated: 0 });
    expect((await web.getTrace(traceId))?.services).toEqual(['web', 'api']);
    expect((await web.getTrace(traceId))?.complete).toBe(true);
    expect(web.serviceMap().dependencies).toMatchObject([{ client: 'web', server: 'api', calls: 1, virtual: false }]);
    expect(await web.ingest(far?.spans ?? [])).toMatchObject({ accepted: 1, repeated: 1 });
    expect(web.serviceMap().dependencies[0]?.calls).toBe(1);
  });

  it('lets other libraries find the active span through the globals, and gives them back', async () => {
    const apm = await started();
    apm.trace('outer', (span) => {
      expect(trace.getActiveSpan()?.spanContext()).toEqual(span.spanContext());
      trace.getTracer('library').startActiveSpan('inner', (inner) => {
        expect(inner.spanContext().traceId).toBe(span.spanContext().traceId);
        inner.end();
      });
    });
    await apm.stop();
    const next = await started();
    next.trace('again', (span) => expect(trace.getActiveSpan()?.spanContext()).toEqual(span.spanContext()));
  });

  it('leaves the globals to another SDK and joins it by the span processor', async () => {
    const apm = await started({ registerGlobals: false });
    const provider = new BasicTracerProvider({ spanProcessors: [apm.spanProcessor] });
    const span = provider.getTracer('theirs').startSpan('theirs');
    span.end();
    expect(await allTraces(apm, { operation: 'theirs' })).toEqual([span.spanContext().traceId]);
    expect(apm.stats().spans.joined).toBe(1);
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('does not record what the caller decided not to sample', async () => {
    const apm = await started();
    const parent = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` };
    expect(apm.trace('unsampled', { parent }, (span) => span.isRecording())).toBe(false);
  });
});

describe('figures', () => {
  const at = Date.now();
  const requests = Array.from({ length: 200 }, (_, i) =>
    spanOf({
      service: 'api',
      version: i % 2 === 0 ? '1' : '2',
      trace: `${i + 1}`,
      id: `${i + 1}`,
      kind: 'server',
      name: 'GET /items',
      startMs: at - 2_000 + i,
      durationMs: i + 1,
      error: i % 10 === 0,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/items',
        'http.response.status_code': i % 10 === 0 ? 503 : 200,
      },
    }),
  );

  it('gives baselines, each quantile only with enough spans', async () => {
    const apm = await started();
    await apm.ingest(requests.slice(0, 50));
    const [few] = apm.baselines({ service: 'api' });
    expect(few).toMatchObject({ service: 'api', operation: 'GET /items', kind: 'server', count: 50, errorShare: 0.1 });
    expect(few?.durationMs.p99).toBeUndefined();
    expect(few?.durationMs.p50).toBeCloseTo(25, -1);
    await apm.ingest(requests.slice(50));
    expect(apm.baselines()[0]?.durationMs.p99).toBeCloseTo(198, -1);
    expect(apm.baselines({ operation: 'other' })).toEqual([]);
  });

  it('answers metric queries from server spans', async () => {
    const apm = await started();
    await apm.ingest(requests);
    const metric = 'http_server_request_duration_seconds';
    const ask = async (query: Parameters<typeof apm.metricSource.query>[0]) =>
      await apm.metricSource.query(query, { ...callOf(), atMs: at + 10_000 });
    const window = { metric, windowMs: 60_000 };
    expect(await ask({ ...window, reduce: 'count' })).toMatchObject([{ labels: {}, value: 200 }]);
    const byVersion = await ask({ ...window, reduce: 'rate', by: ['version'] });
    expect(byVersion.map(({ labels, value }) => [labels, value])).toEqual([
      [{ version: '1' }, 100 / 60],
      [{ version: '2' }, 100 / 60],
    ]);
    const errors = await ask({
      ratio: {
        part: { ...window, reduce: 'increase', match: { status_class: '5xx' }, by: ['version'] },
        whole: { ...window, reduce: 'increase', by: ['version'] },
      },
    });
    expect(errors.map(({ labels, value }) => [labels['version'], value])).toEqual([
      ['1', 0.2],
      ['2', 0],
    ]);
    const [p90] = await ask({
      ...window,
      reduce: { quantile: 0.9 },
      match: { route: '/items', method: { oneOf: ['GET'] } },
    });
    expect(p90?.value).toBeCloseTo(0.18, 2);
    expect(await ask({ ...window, reduce: 'mean', match: { service: { not: 'api' } } })).toEqual([]);
    expect(await ask({ metric: 'other', windowMs: 1, reduce: 'sum' })).toEqual([]);
    for (const query of [{ promql: 'up' }, { ...window, reduce: 'last' as const }]) {
      await expect(ask(query)).rejects.toSatisfy((error) => codeOf(error) === 'MNOPS_CORE_UNSUPPORTED');
    }
  });

  it('finds traces by what is asked', async () => {
    const apm = await started();
    await apm.ingest(requests);
    expect(await allTraces(apm, { error: true, limit: 1_000 })).toHaveLength(20);
    expect(await allTraces(apm, { minDurationMs: 191 })).toHaveLength(10);
    expect(await allTraces(apm, { service: 'api', operation: 'GET /items', limit: 3 })).toHaveLength(3);
    expect(await allTraces(apm, { attributes: { 'service.version': '2', 'http.route': '/items' } })).toHaveLength(100);
    expect(await allTraces(apm, { from: new Date(at) })).toEqual([]);
    expect(await allTraces(apm, { service: 'web' })).toEqual([]);
  });

  it('refuses spans that are none and keeps the rest', async () => {
    const apm = await started();
    const good = spanOf({ id: '1' });
    const bad: unknown[] = [
      null,
      7,
      {},
      { ...good, traceId: 'zz' },
      { ...good, spanId: '0'.repeat(16) },
      { ...good, durationNano: -1n },
      { ...good, startTimeUnixNano: 5 },
      { ...good, kind: 'SERVER' },
      { ...good, attributes: null },
      { ...good, attributes: { list: { a: 1 } } },
      { ...good, resource: { 'service.name': null } },
      { ...good, events: [null] },
      { ...good, links: [null] },
      { ...good, traceState: {} },
      { ...good, scope: {} },
      { ...good, status: { code: 'error', message: 5 } },
      Object.defineProperty({ ...good }, 'name', {
        get: () => {
          throw new Error('unreadable');
        },
      }),
    ];
    const report = await apm.ingest([...(bad as (typeof good)[]), good]);
    expect(report).toMatchObject({ accepted: 1, rejected: bad.length });
    expect(report.reasons.length).toBeGreaterThan(4);
  });

  it('lets other work run while it takes spans that are there already, in a list or one after the other', async () => {
    const apm = new PerformanceMonitoringManager({ registerGlobals: false });
    const spans = Array.from({ length: 2_500 }, (_, i) => spanOf({ id: (i + 1).toString(16) }));
    for (const given of [
      spans,
      (async function* () {
        yield* spans;
      })(),
    ]) {
      let turns = 0;
      let done = false;
      const count = (): void => {
        turns += 1;
        if (!done) setImmediate(count);
      };
      setImmediate(count);
      await apm.ingest(given);
      done = true;
      expect(turns).toBeGreaterThanOrEqual(2);
    }
  });

  it('works without analysis', async () => {
    const apm = await started({ analysis: false });
    await apm.ingest(requests);
    expect(apm.baselines()).toEqual([]);
    expect(apm.serviceMap().dependencies).toEqual([]);
    expect(await allTraces(apm)).toHaveLength(100);
  });
});

describe('limits', () => {
  it('keeps the newest traces within the bounds', async () => {
    const apm = await started({ store: { maxTraces: 10, maxSpansPerTrace: 3 } });
    await apm.ingest(Array.from({ length: 50 }, (_, i) => spanOf({ trace: `${i + 1}`, id: `${i + 1}` })));
    expect(apm.stats().traces).toMatchObject({ traces: 10, spans: 10, evictedTraces: 40 });
    await apm.ingest(Array.from({ length: 9 }, (_, i) => spanOf({ trace: 'ff', id: `a${i}` })));
    expect(apm.stats().traces.cutSpans).toBe(6);
    expect((await apm.getTrace('ff'.padStart(32, '0')))?.complete).toBe(false);
  });

  it('lets traces go by their bytes', async () => {
    const apm = await started({ store: { maxBytes: 100_000 } });
    const text = 'x'.repeat(10_000);
    await apm.ingest(
      Array.from({ length: 50 }, (_, i) => spanOf({ trace: `${i + 1}`, id: `${i + 1}`, attributes: { text } })),
    );
    const { traces, bytes } = apm.stats().traces;
    expect(traces).toBeLessThan(10);
    expect(bytes).toBeLessThanOrEqual(100_000);
  });
});

describe('options', () => {
  it('names every wrong option at once', () => {
    const wrong = { service: 7, queue: { maxSpan: 1 }, analysis: { bucketMs: 1 }, exporters: [{}] };
    try {
      new PerformanceMonitoringManager(wrong as unknown as APMConfig);
      expect.unreachable();
    } catch (error) {
      expect(codeOf(error)).toBe('MNOPS_CORE_CONFIG_INVALID');
      const { issues } = (error as { details: { issues: { field: string }[] } }).details;
      const fields = issues.map((issue) => issue.field);
      for (const field of ['service', 'queue.maxSpan', 'analysis.bucketMs', 'exporters.0'])
        expect(fields).toContain(field);
    }
  });
});

describe('process hooks', () => {
  it('are there only while asked for and running', async () => {
    const before = process.listenerCount('SIGTERM');
    const plain = await started();
    expect(process.listenerCount('SIGTERM')).toBe(before);
    await plain.stop();
    const hooked = await started({ processHooks: true });
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    await hooked.stop();
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
