import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { encodeOtlpProtobuf } from '../../encoding/otlp-protobuf.js';
import { PerformanceMonitoringManager } from '../../performance-monitoring-manager.js';
import { encodeOtlpJson } from '../../testing/otlp-json-text.js';
import { spanOf } from '../../testing/spans.js';
import { otlp, otlpHandler } from './index.js';

let apm: PerformanceMonitoringManager;
let server: Server;
let port: number;

beforeEach(async () => {
  apm = new PerformanceMonitoringManager({ service: 'collector', registerGlobals: false });
  await apm.start();
  server = createServer(otlpHandler(apm, { maxBytes: 100_000, timeoutMs: 300, maxConcurrent: 2 })).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await apm.stop();
});

async function post(
  body: string | Buffer,
  headers: Record<string, string> = {},
  more: { method?: string; path?: string } = {},
): Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }> {
  const { method = 'POST', path = '/v1/traces' } = more;
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { 'content-type': 'application/json', ...headers },
  });
  outgoing.on('error', () => undefined);
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), headers: response.headers };
}

const good = encodeOtlpJson(batchOf([spanOf({ service: 'api', id: 'a', trace: 'c' })]));

describe('otlpHandler', () => {
  it('refuses what takes no spans, before the first request', () => {
    for (const none of [undefined, { maxBytes: 1 }]) {
      expect(() => otlpHandler(none as never)).toThrow(
        expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID', message: expect.stringContaining('intake') }),
      );
    }
  });

  it('takes spans, plain and gzip', async () => {
    expect(await post(good)).toMatchObject({ status: 200, body: '{"partialSuccess":{}}' });
    expect(
      (await post(gzipSync(good), { 'content-encoding': 'gzip', 'content-type': 'application/json; charset=utf-8' }))
        .status,
    ).toBe(200);
    expect((await apm.getTrace('c'.padStart(32, '0')))?.services).toEqual(['api']);
    expect((await post('{}')).status).toBe(200);
  });

  for (const [name, Exporter] of [
    ['JSON', OTLPTraceExporter],
    ['protobuf', ProtobufTraceExporter],
  ] as const) {
    it(`takes what the official exporter posts in ${name}`, async () => {
      const exporter = new Exporter({ url: `http://127.0.0.1:${port}/v1/traces` });
      const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
      const span = provider.getTracer('official').startSpan('theirs', { attributes: { list: ['a'], n: 1.5 } });
      span.end();
      await provider.forceFlush();
      const found = await apm.getTrace(span.spanContext().traceId);
      expect(found?.spans[0]).toMatchObject({ name: 'theirs', attributes: { list: ['a'], n: 1.5 } });
      await provider.shutdown();
    });
  }

  it('takes protobuf and answers in it, failures too', async () => {
    const headers = { 'content-type': 'application/x-protobuf' };
    const usable = spanOf({ service: 'api', id: 'a', trace: 'd' });
    const lost = { ...spanOf({ id: 'b' }), traceId: '0'.repeat(32) };
    const taken = await post(Buffer.from(encodeOtlpProtobuf(batchOf([usable, lost]))), headers);
    expect(taken).toMatchObject({ status: 200, headers });
    expect(taken.body).toContain('traceId or spanId is not valid');
    expect((await apm.getTrace('d'.padStart(32, '0')))?.services).toEqual(['api']);
    expect(await post(Buffer.alloc(0), headers)).toMatchObject({ status: 200, body: '' });
    const refused = await post(Buffer.from('0a05', 'hex'), headers);
    expect(refused).toMatchObject({ status: 400, headers });
    expect(refused.body).toContain('no OTLP request in protobuf');
  });

  it('says how many spans it could not use, and takes the others', async () => {
    const body = JSON.parse(good) as { resourceSpans: { scopeSpans: { spans: unknown[] }[] }[] };
    body.resourceSpans[0]?.scopeSpans[0]?.spans.push({}, { traceId: 'zz' }, 7, null);
    const answer = await post(JSON.stringify(body));
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ partialSuccess: { rejectedSpans: '4' } });
    expect(apm.stats().spans.ingested).toBe(1);
  });

  it('refuses what it does not serve', async () => {
    for (const [status, answer] of [
      [404, post(good, {}, { path: '/v1/metrics' })],
      [405, post(good, {}, { method: 'PUT' })],
      [415, post(good, { 'content-type': 'text/plain' })],
      [415, post(good, { 'content-encoding': 'br' })],
      [400, post('{"resourceSpans":')],
      [400, post('[]')],
      [400, post('{"resourceSpans":7}')],
      [400, post('['.repeat(5_000))],
      [400, post(`{"a":${'['.repeat(500)}${']'.repeat(500)}}`)],
      [400, post('{"__proto__":{"polluted":1}}')],
      [400, post('no gzip', { 'content-encoding': 'gzip' })],
      [413, post('x'.repeat(100_001))],
      [413, post(gzipSync(Buffer.alloc(10_000_000, 'a')), { 'content-encoding': 'gzip' })],
    ] as const) {
      const result = await answer;
      expect(result.status).toBe(status);
      expect(typeof (JSON.parse(result.body) as { message: unknown }).message).toBe('string');
    }
    expect(apm.stats().spans.ingested).toBe(0);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('refuses a chunked body as soon as it is too long', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    const chunk = `${(20_000).toString(16)}\r\n${'x'.repeat(20_000)}\r\n`;
    for (let i = 0; i < 6; i += 1) socket.write(chunk);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain('413');
    socket.destroy();
  });

  it('gives up a body that stalls, and serves others meanwhile and afterwards', async () => {
    const head = 'POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{';
    const stalled = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
    for (const socket of stalled) {
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(head);
    }
    const closed = Promise.all(
      stalled.map(async (socket) => {
        const [answer] = (await once(socket, 'data')) as [Buffer];
        expect(answer.toString()).toContain('408');
        await once(socket, 'close');
      }),
    );
    let busy = await post(good);
    while (busy.status === 200) busy = await post(good);
    expect([busy.status, busy.headers['retry-after']]).toEqual([429, '1']);
    await closed;
    expect((await post(good)).status).toBe(200);
  });

  it('says that it is closed once the manager is stopped', async () => {
    await apm.stop();
    expect((await post(good)).status).toBe(503);
  });

  it('joins two processes: one exports, the other assembles', async () => {
    const web = new PerformanceMonitoringManager({
      service: 'web',
      registerGlobals: false,
      exporters: [otlp({ url: `http://127.0.0.1:${port}` })],
    });
    await web.start();
    const traceId = web.trace('call', (span) => span.spanContext().traceId);
    const report = await web.stop();
    expect(report.exporters['otlp']).toMatchObject({ accepted: 1, delivered: 1, held: 0 });
    expect((await apm.getTrace(traceId))?.services).toEqual(['web']);
  });
});
