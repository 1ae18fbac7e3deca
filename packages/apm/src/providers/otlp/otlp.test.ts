import { codeOf } from '@mnops/core';
import { faultServer, testCall, traceExporterContract } from '@mnops/core/testing';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { encodeOtlpJson } from '../../testing/otlp-json-text.js';
import { spanOf } from '../../testing/spans.js';
import { plainSpan, type ReadableSpanLike, RecordedSpan } from '../../tracing/recorded-span.js';
import { contentTypes, statusAnswer } from './answers.js';
import { decodeOtlpJson } from './decode.js';
import { otlp } from './index.js';
import { otlpFake } from './otlp.fake.js';

for (const protocol of ['protobuf', 'json'] as const) {
  traceExporterContract({ describe, it }, `otlp, ${protocol}`, async () => {
    const fake = await otlpFake();
    return {
      provider: otlp({ url: fake.server.url, protocol, headers: { 'api-key': () => 'canary-key-7' } }),
      faults: fake.server,
      secrets: ['canary-key-7'],
      received: () => fake.spans.map(({ spanId }) => spanId),
      rejectNext: fake.rejectNext,
      close: () => fake.server.close(),
    };
  });
}

/** Spans of the real SDK, with everything that a span can have. */
function sdkSpans(): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'sdk', 'service.version': '1' }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const tracer = provider.getTracer('scope', '2.0');
  const link = { context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }, attributes: { n: 1 } };
  for (let kind = 0; kind < 5; kind += 1) {
    const span = tracer.startSpan(`span ${kind}`, {
      kind,
      links: [link],
      attributes: { text: 'ä', integer: 5, fraction: 1.5, yes: true, list: ['a', 'b'], numbers: [1, 2] },
    });
    span.addEvent('event', { why: 'test' });
    span.setStatus({ code: kind % 3, message: 'why' });
    span.end();
  }
  return memory.getFinishedSpans();
}

/** What matters of a request, in one order, with numbers in one form. */
function normalized(text: string): unknown {
  return JSON.parse(text, (key, value) => {
    if (['droppedAttributesCount', 'flags', 'schemaUrl'].includes(key)) return undefined;
    if (key === 'intValue') return String(value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

describe('headers', () => {
  it('are a plain object: of Headers and Map nothing would be sent', () => {
    const url = 'http://127.0.0.1:4318';
    for (const headers of [new Headers({ 'api-key': 'x' }), new Map([['api-key', 'x']]), [['api-key', 'x']]]) {
      expect(() => otlp({ url, headers: headers as never })).toThrow(/headers: expected a plain object/);
    }
    expect(otlp({ url, headers: Object.assign(Object.create(null), { 'api-key': 'x' }) }).id).toBe('otlp');
  });
});

describe('OTLP JSON', () => {
  const readable = sdkSpans();
  const resource = { 'service.name': 'sdk', 'service.version': '1' };
  const ours = readable.map((span) => plainSpan(new RecordedSpan(span as unknown as ReadableSpanLike, resource)));
  const theirs = Buffer.from(JsonTraceSerializer.serializeRequest(readable) ?? []).toString('utf8');

  it("is what OpenTelemetry's own encoder writes", () => {
    expect(normalized(encodeOtlpJson(batchOf(ours)))).toEqual(normalized(theirs));
  });

  it("reads what OpenTelemetry's own encoder writes", () => {
    const { spans, rejected } = decodeOtlpJson(theirs);
    expect(rejected).toBe(0);
    expect(spans.map(({ parentIsRemote, ...span }) => span)).toEqual(ours);
  });

  it('comes back as it went, to the nanosecond', () => {
    const span = {
      ...spanOf({ id: 'a', parent: 'b', kind: 'client', version: '2', error: true }),
      startTimeUnixNano: 1_700_000_000_944_999_937n,
      durationNano: 1_234_567n,
      parentIsRemote: true,
      traceState: 'a=1',
      attributes: { text: 'x', list: ['a', null], none: Number.NaN, big: 2 ** 60, below: -0.5, yes: false },
    };
    const [back] = decodeOtlpJson(encodeOtlpJson(batchOf([span]))).spans;
    expect(back).toEqual(span);
  });

  it('replaces halves of characters and keeps names of Object as plain attributes', () => {
    const attributes = JSON.parse('{"__proto__":"a","constructor":"b","half":"x\\ud83dy"}') as Record<string, string>;
    const text = encodeOtlpJson(batchOf([{ ...spanOf({ id: 'a' }), attributes }]));
    const [back] = decodeOtlpJson(text).spans;
    expect(Object.entries(back?.attributes ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['half', 'x\ufffdy'],
    ]);
    expect(Object.getPrototypeOf(back?.attributes)).toBe(Object.prototype);
  });
});

describe('otlp', () => {
  it('sends to /v1/traces below the base address, compressed if asked', async () => {
    const server = await faultServer();
    for (const url of [server.url, `${server.url}/v1/traces`, `${server.url}/base/`]) {
      const exporter = otlp({ url, compression: 'gzip' });
      await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall());
      await exporter.close?.(testCall());
    }
    expect(server.requests.map(({ url }) => url)).toEqual(['/v1/traces', '/v1/traces', '/base/v1/traces']);
    expect(server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
    });
    await server.close();
  });

  it('tells what the receiver said, in either encoding, on one short line', async () => {
    const server = await faultServer();
    for (const protocol of ['protobuf', 'json'] as const) {
      const body = statusAnswer(protocol, 3, `no\nsuch ${'thing '.repeat(100)}`);
      server.next({ status: 400, headers: { 'content-type': contentTypes[protocol] }, body });
      const sending = otlp({ url: server.url, protocol }).export(batchOf([spanOf({ id: 'a' })]), testCall());
      const error = (await sending.catch((reason: unknown) => reason)) as Error;
      expect(codeOf(error)).toBe('MNOPS_APM_EXPORT_REJECTED');
      expect(error.message).toContain('status 400: no such thing');
      expect(error.message.length).toBeLessThan(300);
    }
    await server.close();
  });

  it('refuses an answer in protobuf that is cut, and takes one in JSON to a request in protobuf', async () => {
    const server = await faultServer();
    const exporter = otlp({ url: server.url });
    const send = () => exporter.export(batchOf([spanOf({ id: 'a' })]), testCall());
    server.next({ headers: { 'content-type': contentTypes.protobuf }, body: Buffer.from('0a0508', 'hex') });
    await expect(send()).rejects.toSatisfy((error) => codeOf(error) === 'MNOPS_CORE_RESPONSE_INVALID');
    server.next({ body: { partialSuccess: { rejectedSpans: '1', errorMessage: 'why' } } });
    expect(await send()).toEqual({ accepted: 0, rejected: 1, message: 'why' });
    server.next({ headers: { 'content-type': contentTypes.protobuf }, body: Buffer.from('0a050801120178', 'hex') });
    expect(await send()).toEqual({ accepted: 0, rejected: 1, message: 'x' });
    await server.close();
  });

  it('gives up an exchange after its time, to be tried again', async () => {
    const server = await faultServer();
    server.next('hang');
    const sending = otlp({ url: server.url, timeoutMs: 50 }).export(batchOf([spanOf({ id: 'a' })]), testCall());
    await expect(sending).rejects.toMatchObject({ code: 'MNOPS_CORE_TIMEOUT', retryable: true });
    await server.close();
  });

  it('resolves references in headers at each request', async () => {
    const server = await faultServer();
    const exporter = otlp({ url: server.url, headers: { 'api-key': 'secret://vendor#key' } });
    for (const key of ['one', 'two']) {
      await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall({ secrets: { 'secret://vendor#key': key } }));
    }
    expect(server.requests.map(({ headers }) => headers['api-key'])).toEqual(['one', 'two']);
    await server.close();
  });

  it('refuses a batch over its limit before it is sent', async () => {
    const exporter = otlp({ url: 'http://127.0.0.1:9', maxRequestBytes: 1_000 });
    const attributes = { text: 'x'.repeat(2_000) };
    const sending = exporter.export(batchOf([spanOf({ id: 'a', attributes })]), testCall());
    await expect(sending).rejects.toSatisfy((error) => codeOf(error) === 'MNOPS_CORE_TOO_LARGE');
  });

  it('refuses a name that no HTTP header has, and does not repeat it', () => {
    const make = (): unknown => otlp({ url: 'http://127.0.0.1:4318', headers: { 'api-key: canary-key-7': 'x' } });
    expect(make).toThrow(/headers: expected names of HTTP headers/);
    expect(make).not.toThrow(/canary-key-7/);
  });

  it('refuses wrong options by name', () => {
    for (const [options, field] of [
      [{ url: 'no address' }, 'url'],
      [{ url: 'http://user:secret@host' }, 'url'],
      [{ url: 'http://host', header: {} }, 'header'],
    ] as const) {
      expect(() => otlp(options as unknown as { url: string })).toThrow(field);
      try {
        otlp(options as unknown as { url: string });
      } catch (error) {
        expect(String(error)).not.toContain('secret');
      }
    }
  });
});
