import type { JsonValue, Span } from '@mnops/core/spi';
import { eventually, faultServer, testCall, traceExporterContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { decodeMsgpack } from '../../testing/msgpack.js';
import { spanOf } from '../../testing/spans.js';
import { containerIdOf } from './container.js';
import { encodeDatadog } from './encode.js';
import { datadog } from './index.js';

interface DatadogSpan {
  readonly trace_id: bigint;
  readonly span_id: bigint;
  readonly parent_id: bigint;
  readonly name: string;
  readonly resource: string;
  readonly service: string;
  readonly type?: string;
  readonly error: number;
  readonly start: bigint;
  readonly duration: bigint;
  readonly meta: Record<string, string>;
  readonly metrics: Record<string, number>;
}

const own = { runtimeId: 'own-runtime', pid: 42 };

function chunksOfBytes(bytes: Uint8Array): DatadogSpan[][] {
  return decodeMsgpack(bytes) as DatadogSpan[][];
}

function encoded(spans: readonly Span[]): DatadogSpan[][] {
  const { bytes, traceCount } = encodeDatadog(batchOf(spans), own, { spanEvents: false });
  const chunks = chunksOfBytes(bytes);
  expect(chunks).toHaveLength(traceCount);
  return chunks;
}

/** One span as the agent gets it. */
function written(span: Span): DatadogSpan {
  const first = encoded([span])[0]?.[0];
  if (first === undefined) throw new Error('no span');
  return first;
}

traceExporterContract({ describe, it }, 'datadog', async () => {
  const server = await faultServer();
  const received: string[] = [];
  server.handler((request) => {
    for (const chunk of chunksOfBytes(request.body)) {
      received.push(...chunk.map(({ span_id }) => span_id.toString(16).padStart(16, '0')));
    }
    return { body: { rate_by_service: { 'service:,env:': 1 } } };
  });
  return {
    provider: datadog({ url: server.url }),
    faults: server,
    received: () => received,
    close: () => server.close(),
  };
});

describe('Datadog v0.4', () => {
  it('writes ids, times and names of a span to the last digit', () => {
    const span: Span = {
      ...spanOf({
        service: 'web',
        id: 'fffffffffffffffe',
        parent: '8000000000000001',
        name: 'GET /items',
        kind: 'server',
      }),
      traceId: '0123456789abcdeffedcba9876543210',
      parentIsRemote: true,
      startTimeUnixNano: 1_700_000_000_944_999_937n,
      durationNano: 1_234_567n,
      attributes: { 'http.request.method': 'GET', 'http.response.status_code': 200, cached: true, share: 0.5 },
      resource: {
        'service.name': 'web',
        'service.version': '1.2',
        'service.instance.id': 'pod-1',
        'deployment.environment.name': 'prod',
        'process.pid': 7,
        zone: 'b',
      },
    };
    expect(written(span)).toEqual({
      trace_id: 0xfedcba9876543210n,
      span_id: 0xfffffffffffffffen,
      parent_id: 0x8000000000000001n,
      name: 'GET /items',
      resource: 'GET /items',
      service: 'web',
      type: 'web',
      error: 0,
      start: 1_700_000_000_944_999_937n,
      duration: 1_234_567n,
      meta: {
        'http.request.method': 'GET',
        'http.method': 'GET',
        'http.status_code': '200',
        'span.kind': 'server',
        'otel.scope.name': 'test',
        language: 'javascript',
        'runtime-id': 'pod-1',
        env: 'prod',
        version: '1.2',
        'service.instance.id': 'pod-1',
        'deployment.environment.name': 'prod',
        zone: 'b',
        '_dd.p.tid': '0123456789abcdef',
        '_dd.p.dm': '-0',
      },
      metrics: {
        'http.response.status_code': 200,
        cached: 1,
        share: 0.5,
        process_id: 7,
        _sampling_priority_v1: 1,
        '_dd.top_level': 1,
        '_dd.measured': 1,
      },
    });
  });

  it('makes one chunk per trace and process, led by the local root', () => {
    const web = { 'service.name': 'web' };
    const api = { 'service.name': 'api' };
    const chunks = encoded([
      { ...spanOf({ id: '3', parent: '2', kind: 'client', startMs: 1_000 }), resource: web },
      { ...spanOf({ id: '2', parent: '1', kind: 'server', startMs: 1_500 }), resource: web },
      { ...spanOf({ id: '4', parent: '3', kind: 'server' }), resource: api },
      { ...spanOf({ id: '5', trace: '2' }), resource: web },
    ]);
    expect(chunks.map((chunk) => chunk.map(({ span_id }) => Number(span_id)))).toEqual([[2, 3], [5], [4]]);
    const roots = chunks.flat().filter(({ metrics }) => metrics['_dd.top_level'] === 1);
    expect(roots.map(({ span_id }) => Number(span_id))).toEqual([2, 5, 4]);
    for (const [first, ...others] of chunks) {
      expect(first?.meta['_dd.p.dm']).toBe('-0');
      for (const other of others) expect(other.meta).not.toHaveProperty(['_dd.p.dm']);
    }
  });

  it.each([
    [1, undefined, 1, '-0', undefined],
    [0, undefined, 0, undefined, undefined],
    [1, 'a=1,dd=s:2;o:rum~x;t.dm:-4,b=2', 2, '-4', 'rum=x'],
    [0, 'dd=s:-1;t.dm:-4', -1, undefined, undefined],
    // The flag is of the caller next to us, the member may be older.
    [1, 'dd=s:0;t.dm:-3', 1, '-0', undefined],
    [1, 'dd=s:9;t.dm:nonsense', 1, '-0', undefined],
    [1, 'dd=', 1, '-0', undefined],
  ])('tells the decision of flags %i with tracestate %s', (traceFlags, traceState, priority, maker, origin) => {
    const span = written({ ...spanOf({ id: 'a' }), traceFlags, traceState });
    expect(span.metrics['_sampling_priority_v1']).toBe(priority);
    expect(span.meta['_dd.p.dm']).toBe(maker);
    expect(span.meta['_dd.origin']).toBe(origin);
  });

  it('tells an error with what the last exception said', () => {
    const timeUnixNano = 1_700_000_000_000_000_000n;
    const exception = (type: string) => ({
      name: 'exception',
      timeUnixNano,
      attributes: { 'exception.type': type, 'exception.message': `${type} said`, 'exception.stacktrace': `${type} at` },
    });
    const events = [exception('First'), exception('Last')];
    const base = spanOf({ id: 'a' });
    expect(written({ ...base, events, status: { code: 'error' } })).toMatchObject({
      error: 1,
      meta: { 'error.type': 'Last', 'error.message': 'Last said', 'error.stack': 'Last at' },
    });
    const told = written({
      ...base,
      status: { code: 'error', message: 'broken' },
      attributes: { 'error.type': '500' },
    });
    expect(told).toMatchObject({ error: 1, meta: { 'error.type': '500', 'error.message': 'broken' } });
    const survived = written({ ...base, events, status: { code: 'ok' } });
    expect(survived.error).toBe(0);
    expect(survived.meta).not.toHaveProperty(['error.message']);
  });

  it('writes links and events as JSON that stays JSON when there are too many', () => {
    const link = {
      traceId: 'c'.repeat(32),
      spanId: 'd'.repeat(16),
      traceState: 'a=1',
      attributes: { n: 1, list: ['x'] },
    };
    const event = { name: 'retry "it"', timeUnixNano: 1_700_000_000_944_999_937n, attributes: { attempt: 2 } };
    const span = written({ ...spanOf({ id: 'a' }), links: [link], events: [event] });
    expect(JSON.parse(span.meta['_dd.span_links'] ?? '')).toEqual([
      { trace_id: 'c'.repeat(32), span_id: 'd'.repeat(16), attributes: { n: '1', list: '["x"]' }, tracestate: 'a=1' },
    ]);
    expect(span.meta['events']).toBe(
      '[{"name":"retry \\"it\\"","time_unix_nano":1700000000944999937,"attributes":{"attempt":2}}]',
    );
    const many = written({
      ...spanOf({ id: 'a' }),
      links: Array.from({ length: 1_000 }, () => link),
      events: Array.from({ length: 1_000 }, () => ({ ...event, attributes: { text: 'y'.repeat(90) } })),
    });
    for (const key of ['_dd.span_links', 'events']) {
      expect(many.meta[key]?.length).toBeLessThanOrEqual(25_000);
      expect((JSON.parse(many.meta[key] ?? '') as unknown[]).length).toBeGreaterThan(100);
    }
  });

  it('keeps to the limits of the agent', () => {
    const long = 'n'.repeat(30_000);
    const span = written({
      ...spanOf({ id: 'a', name: long, attributes: { [long]: 1, text: long, 'span.type': long } }),
      resource: { 'service.name': long, [long]: long },
    });
    expect([span.name, span.service, span.type].map((text) => text?.length)).toEqual([100, 100, 100]);
    expect(span.resource).toHaveLength(5_000);
    expect(span.meta['text']).toHaveLength(25_000);
    for (const key of [...Object.keys(span.meta), ...Object.keys(span.metrics)])
      expect(key.length).toBeLessThanOrEqual(200);
  });

  it.each([
    ['server', { 'http.route': '/items' }, 'web'],
    ['server', { 'rpc.system': 'grpc' }, undefined],
    ['client', { 'http.request.method': 'GET' }, 'http'],
    ['client', { 'db.system.name': 'postgresql' }, 'sql'],
    ['client', { 'db.system': 'redis' }, 'cache'],
    ['producer', {}, 'queue'],
    ['internal', {}, undefined],
  ] as const)('calls a %s span with %j of type %s', (kind, attributes, type) => {
    expect(written(spanOf({ id: 'a', kind, attributes })).type).toBe(type);
  });

  it('tells whose process made a span of another service, and the name of a peer', () => {
    const span = written(
      spanOf({ service: 'web', id: 'a', attributes: { 'service.name': 'web-db', 'peer.service': 'db' } }),
    );
    expect(span).toMatchObject({
      service: 'web-db',
      meta: { '_dd.base_service': 'web', 'peer.service': 'db', '_dd.peer.service.source': 'peer.service' },
    });
    expect(written(spanOf({ id: 'a' })).meta).not.toHaveProperty(['_dd.base_service']);
  });
});

describe('datadog', () => {
  it('puts to /v0.4/traces with the headers that an agent reads and a length', async () => {
    const server = await faultServer();
    const exporter = datadog({ url: `${server.url}/base/` });
    await exporter.export(batchOf([spanOf({ id: 'a' }), spanOf({ id: 'b', trace: '2' })]), testCall());
    await exporter.close?.(testCall());
    const [request] = server.requests;
    expect([request?.method, request?.url]).toEqual(['PUT', '/base/v0.4/traces']);
    expect(request?.headers).toMatchObject({
      'content-type': 'application/msgpack',
      'content-length': String(request?.body.length),
      'datadog-meta-lang': 'nodejs',
      'datadog-meta-lang-version': process.version,
      'datadog-meta-lang-interpreter': 'v8',
      'x-datadog-trace-count': '2',
    });
    expect(request?.headers['datadog-meta-tracer-version']).toMatch(/^\d+\.\d+\.\d+/);
    await server.close();
  });

  it('hands on the rates that the agent asks for, and nothing else that an answer holds', async () => {
    const server = await faultServer();
    const exporter = datadog({ url: server.url });
    const rates = async (body: string) => {
      server.next({ status: 200, body });
      const answer = await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall());
      expect([answer.accepted, answer.rejected]).toEqual([1, 0]);
      return answer.samplingRates === undefined ? undefined : [...answer.samplingRates];
    };
    expect(await rates('{"rate_by_service":{"service:,env:":1,"service:web,env:prod":0.25}}')).toEqual([
      ['service:,env:', 1],
      ['service:web,env:prod', 0.25],
    ]);
    expect(await rates(`{"rate_by_service":{"a":2,"b":-1,"c":"1","d":null,"${'e'.repeat(600)}":1,"f":0}}`)).toEqual([
      ['f', 0],
    ]);
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`service:${i},env:`, 0.5]));
    expect(await rates(JSON.stringify({ rate_by_service: many }))).toHaveLength(1_000);
    for (const body of ['OK\n', '[]', 'null', '{"rate_by_service":5}']) expect(await rates(body)).toBeUndefined();
    await exporter.close?.(testCall());
    await server.close();
  });

  it('writes events natively once the agent says that it reads them, and asks again when the agent changes', async () => {
    const server = await faultServer();
    const agent: { info: { status?: number; body?: JsonValue }; state: string } = { info: { status: 503 }, state: 'a' };
    server.handler(({ url }) =>
      url === '/info'
        ? { status: agent.info.status ?? 200, body: agent.info.body ?? 'no' }
        : { body: {}, headers: { 'datadog-agent-state': agent.state } },
    );
    const exporter = datadog({ url: server.url });
    const event = {
      name: 'retry',
      timeUnixNano: 1_700_000_000_944_999_937n,
      attributes: { attempt: 2, bad: Number.NaN },
    };
    const questions = (): number => server.requests.filter(({ url }) => url === '/info').length;
    const send = async (span: Span): Promise<DatadogSpan & { readonly span_events?: unknown }> => {
      await exporter.export(batchOf([span]), testCall());
      const body = server.requests.findLast(({ url }) => url === '/v0.4/traces')?.body ?? Buffer.alloc(0);
      return chunksOfBytes(body)[0]?.[0] as DatadogSpan;
    };
    const withEvent = { ...spanOf({ id: 'a' }), events: [event] };
    expect(await send(spanOf({ id: 'a' }))).not.toHaveProperty('span_events');
    expect(questions()).toBe(0);
    expect((await send(withEvent)).meta['events']).toContain('retry');
    await eventually(() => questions() === 1);
    agent.info = { body: { span_events: true } };
    await eventually(async () => {
      const { meta, span_events } = await send(withEvent);
      expect(span_events).toEqual([
        { time_unix_nano: event.timeUnixNano, name: 'retry', attributes: { attempt: { type: 2, int_value: 2n } } },
      ]);
      expect(meta).not.toHaveProperty('events');
    });
    const before = questions();
    await send(withEvent);
    agent.state = 'b';
    agent.info = { status: 404 };
    await eventually(async () => expect(await send(withEvent)).not.toHaveProperty('span_events'));
    expect(questions()).toBe(before + 1);
    await exporter.close?.(testCall());
    await server.close();
  });

  it('knows the container from its cgroup', () => {
    const id = 'a1'.repeat(32);
    for (const text of [
      `13:name=systemd:/docker/${id}`,
      `0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n`,
      `1:name=systemd:/ecs/55091c13-b8cf-4801-b527-f4601742204d/${id}`,
    ]) {
      expect(containerIdOf(text)).toBe(id);
    }
    expect(containerIdOf('9:perf_event:/ecs/task/0123456789abcdef0123456789abcdef-1234567890')).toBe(
      '0123456789abcdef0123456789abcdef-1234567890',
    );
    for (const text of ['', '0::/', '0::/user.slice/user-0.slice']) expect(containerIdOf(text)).toBeUndefined();
  });

  it('refuses wrong options by name', () => {
    expect(() => datadog({ url: 'http://user:secret@host' })).toThrow('url');
    expect(() => datadog({ host: 'x' } as never)).toThrow('host');
  });
});
