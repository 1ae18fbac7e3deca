import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
import type { Trace, TraceJson } from './trace.js';
import { traceFromJson } from './trace-json.js';

async function recorded(): Promise<Trace> {
  const apm = new PerformanceMonitoringManager({ service: { name: 'shop', version: '1' }, registerGlobals: false });
  await apm.start();
  apm.trace('GET /items', { kind: 'server', attributes: { 'http.route': '/items', list: ['a', 'b'] } }, (span) => {
    span.addEvent('cache.missed', { key: 'k' });
    apm.trace('query', { kind: 'client' }, (inner) => inner.setStatus({ code: 2, message: 'no' }));
  });
  for await (const trace of apm.findTraces()) {
    await apm.stop();
    return trace;
  }
  throw new Error('no trace');
}

describe('a trace as JSON', () => {
  it('is written by JSON.stringify, its parts too, with exact times', async () => {
    const trace = await recorded();
    const json = JSON.parse(JSON.stringify(trace)) as TraceJson;
    const [first] = trace.spans;
    expect(json).toMatchObject({
      traceId: trace.traceId,
      startedAt: trace.startedAt.toISOString(),
      durationMs: trace.durationMs,
      hasError: true,
      services: ['shop'],
      complete: true,
    });
    expect(json.spans[0]?.startTimeUnixNano).toBe(String(first?.startTimeUnixNano));
    expect(json.spans[0]?.events[0]?.timeUnixNano).toBe(String(first?.events[0]?.timeUnixNano));
    expect(json.root).toEqual(json.spans[0]);
    expect(JSON.parse(JSON.stringify(trace.spans))).toEqual(json.spans);
    expect(JSON.parse(JSON.stringify({ found: [trace] }))).toEqual({ found: [json] });
    expect(structuredClone({ ...trace }).spans).toEqual(trace.spans);
    expect(Object.keys(trace)).not.toContain('toJSON');
  });

  it('is read back equal, may be written again and ingested', async () => {
    const trace = await recorded();
    const text = JSON.stringify(trace);
    const back = traceFromJson(JSON.parse(text) as TraceJson);
    expect(back).toEqual(trace);
    expect(JSON.stringify(back)).toBe(text);
    const other = new PerformanceMonitoringManager({ service: 'viewer', registerGlobals: false });
    expect(await other.ingest(back.spans)).toMatchObject({ accepted: 2, rejected: 0 });
    const found = await other.getTrace(trace.traceId);
    expect(found?.spans).toEqual(trace.spans);
    await other.stop();
  });

  it('is read back without the numbers that JSON does not have', async () => {
    const trace = await recorded();
    const [first] = trace.spans;
    const attributes = { nan: Number.NaN, list: [1, Number.NaN], kept: 1 };
    const resource = { ...first?.resource, nan: Number.NaN };
    const to = { traceId: '1'.repeat(32), spanId: '1'.repeat(16) };
    const odd = { ...trace, spans: [{ ...first, attributes, resource, links: [{ ...to, attributes }, to] }] };
    const text = JSON.stringify(odd, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    const back = traceFromJson(JSON.parse(text) as TraceJson);
    const kept = { list: [1, null], kept: 1 };
    expect(back.spans[0]?.attributes).toEqual(kept);
    expect(back.spans[0]?.resource).toEqual(first?.resource);
    expect(back.spans[0]?.links).toEqual([{ ...to, attributes: kept }, to]);
  });

  it('names what is not as it was written', async () => {
    const json = JSON.parse(JSON.stringify(await recorded())) as TraceJson;
    const read = traceFromJson as (json: unknown) => Trace;
    const [span] = json.spans;
    expect(() => read(JSON.stringify(json))).toThrow('the options: expected an object, received string');
    expect(() => read({ ...json, spans: [{ ...span, durationNano: 12 }] })).toThrow(
      'spans.0.durationNano: expected string, received number',
    );
    expect(() => read({ ...json, spans: [{ ...span, durationNano: '1e9' }] })).toThrow(
      'spans.0.durationNano: expected nanoseconds in decimal digits',
    );
    for (const links of [undefined, null, {}, [null], [5]]) {
      expect(() => read({ ...json, spans: [{ ...span, links }] })).toThrow('spans.0: expected a span');
    }
    expect(() => read({ ...json, spans: [{ ...span, spanId: 'x' }] })).toThrow(
      'spans.0: expected a span as JSON.stringify(trace) writes it, received object',
    );
  });

  it('says how, where the spans of parsed JSON are ingested as they are', async () => {
    const json = JSON.parse(JSON.stringify(await recorded())) as TraceJson;
    const apm = new PerformanceMonitoringManager({ service: 'viewer', registerGlobals: false });
    const report = await apm.ingest(json.spans as never);
    expect(report).toMatchObject({ accepted: 0, rejected: 2 });
    expect(report.reasons).toEqual(['startTimeUnixNano must be a bigint; traceFromJson makes it from JSON']);
    await apm.stop();
  });
});
