import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import { plainSpan, type ReadableSpanLike, RecordedSpan } from '../tracing/recorded-span.js';
import { sizeOf } from './span-size.js';
import { TraceRing } from './trace-ring.js';

const resource = { 'service.name': 'shop' };

/** Spans of the SDK with every kind of part. */
function ended(): ReadableSpanLike[] {
  const exporter = new InMemorySpanExporter();
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('t', '1');
  const attributes = { text: 'a', number: 1.5, flag: true, list: ['x', 'y'], ['__proto_']: 1 };
  tracer.startSpan('plain', { kind: 2, attributes }).end();
  tracer.startSpan('none').end();
  tracer.startSpan('same names', { attributes: { text: 'b', number: 2 } }).end();
  tracer.startSpan('failed').setStatus({ code: 2 }).end();
  tracer.startSpan('failed with words').setStatus({ code: 2, message: 'no' }).end();
  tracer.startSpan('eventful').addEvent('retry', { attempt: 2 }).end();
  tracer.startSpan('exact', { startTime: [1_700_000_000, 123_456_789] }).end([1_700_000_001, 987_654_321]);
  return exporter.getFinishedSpans() as unknown as ReadableSpanLike[];
}

function endMsOf(span: ReadableSpanLike): number {
  return span.startTime[0] * 1e3 + span.duration[0] * 1e3;
}

describe('TraceRing', () => {
  it('gives spans of the SDK back as they were', () => {
    const ring = new TraceRing({ maxTraces: 100, maxBytes: 1e6, maxSpansPerTrace: 10 });
    for (const span of ended()) {
      ring.addEnded(span, resource, 0, endMsOf(span));
      const held = ring.get(span.spanContext().traceId);
      expect(held?.spans.map(plainSpan)).toEqual([plainSpan(new RecordedSpan(span, resource))]);
      expect(held?.hasError).toBe(span.name.startsWith('failed'));
    }
    expect(ring.stats).toMatchObject({ traces: 7, spans: 7 });
  });

  it('changes nothing for a span that cannot be read', () => {
    const ring = new TraceRing({ maxTraces: 100, maxBytes: 1e6, maxSpansPerTrace: 10 });
    const [span] = ended() as [ReadableSpanLike];
    const attributes = {
      good: 1,
      get bad(): number {
        throw new Error('unreadable');
      },
    };
    const context = { ...span.spanContext(), traceId: 'f'.repeat(32) };
    const hostile = { ...span, duration: span.duration, attributes, spanContext: () => context };
    expect(() => ring.addEnded(hostile, resource, 0, 0)).toThrow();
    expect(ring.stats).toMatchObject({ traces: 0, spans: 0, bytes: 0 });
    ring.addEnded(span, resource, 0, 0);
    expect(ring.get(span.spanContext().traceId)?.spans[0]?.attributes).toEqual(span.attributes);
  });

  it('does what a plain list of traces would do, in any order of spans', () => {
    const sdk = ended();
    const step = fc.record({ trace: fc.nat(30), span: fc.nat(5), own: fc.nat(sdk.length), words: fc.nat(3_000) });
    const limits = fc.record({
      maxTraces: fc.integer({ min: 1, max: 20 }),
      maxBytes: fc.integer({ min: 3_000, max: 60_000 }),
      maxSpansPerTrace: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 400 }), (options, steps) => {
        const ring = new TraceRing(options);
        const model = new Map<string, { spans: string[]; cut: number }>();
        let [repeated, cut, begun] = [0, 0, 0];
        steps.forEach(({ trace, span, own, words }, i) => {
          const foreign = spanOf({ trace: `${trace}`, id: `${span}`, attributes: { text: 'x'.repeat(words) } });
          const { traceId } = foreign;
          const ours = sdk[own];
          const spanId = ours === undefined ? foreign.spanId : i.toString(16).padStart(16, '0');
          const known = model.get(traceId);
          if (ours === undefined) {
            const isRepeated = known?.spans.includes(spanId) === true;
            expect(ring.add(foreign, i, i + 1)).toBe(!isRepeated);
            if (isRepeated) {
              repeated += 1;
              return;
            }
          } else {
            const context = { ...ours.spanContext(), traceId, spanId };
            ring.addEnded(Object.create(ours, { spanContext: { value: () => context } }), resource, i, i + 1);
          }
          if (known === undefined) {
            begun += 1;
            model.set(traceId, { spans: [spanId], cut: 0 });
          } else if (known.spans.length < options.maxSpansPerTrace) known.spans.push(spanId);
          else {
            known.cut += 1;
            cut += 1;
          }
          // Which traces had to go for their bytes is the ring's business; that they are the oldest is checked.
          for (const id of [...model.keys()].slice(0, model.size - ring.stats.traces)) model.delete(id);
        });
        const held = [...ring.newestFirst()].reverse();
        expect(held.map(({ traceId, cut, spans }) => [traceId, cut, spans.map(({ spanId }) => spanId)])).toEqual(
          [...model].map(([traceId, { cut, spans }]) => [traceId, cut, spans]),
        );
        const { stats } = ring;
        expect(stats).toMatchObject({ cutSpans: cut, repeatedSpans: repeated, evictedTraces: begun - model.size });
        expect(stats.spans).toBe(held.reduce((sum, { spans }) => sum + spans.length, 0));
        expect(stats.traces).toBeLessThanOrEqual(options.maxTraces);
        expect(stats.bytes).toBeLessThanOrEqual(options.maxBytes);
        if (stats.traces === 0) expect(stats.bytes).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('grows to as many traces as it may keep, and finds ids that were made to collide', () => {
    const ring = new TraceRing({ maxTraces: 40_000, maxBytes: 1e9, maxSpansPerTrace: 10 });
    const idOf = (i: number): string => `${i.toString(16)}1`.padStart(16, '0').padEnd(32, '0');
    for (let i = 0; i < 45_000; i += 1) ring.add({ ...spanOf({ id: '1' }), traceId: idOf(i) }, i, i);
    expect(ring.stats).toMatchObject({ traces: 40_000, spans: 40_000, evictedTraces: 5_000 });
    expect(ring.get(idOf(4_999))).toBeUndefined();
    expect(ring.get(idOf(5_000))?.startMs).toBe(5_000);
    expect(ring.get(idOf(44_999))?.startMs).toBe(44_999);
    const [newest] = ring.newestFirst();
    expect(newest?.traceId).toBe(idOf(44_999));
  });

  it("takes ids that are not of OpenTelemetry's form", () => {
    const ring = new TraceRing({ maxTraces: 2, maxBytes: 1e6, maxSpansPerTrace: 10 });
    const [span] = ended() as [ReadableSpanLike];
    for (const traceId of ['odd', 'F'.repeat(32), 'g'.repeat(32), `${'0'.repeat(31)}\u0100`]) {
      for (const spanId of ['odd', 'A'.repeat(16)]) {
        const context = { ...span.spanContext(), traceId, spanId };
        ring.addEnded(Object.create(span, { spanContext: { value: () => context } }), resource, 0, 1);
      }
      expect(ring.get(traceId)?.spans.map(({ spanId }) => spanId)).toEqual(['odd', 'A'.repeat(16)]);
    }
    expect(ring.get('odd')).toBeUndefined();
    expect([...ring.newestFirst()].map(({ traceId }) => traceId)).toEqual([`${'0'.repeat(31)}\u0100`, 'g'.repeat(32)]);
  });

  it('estimates no less for a span with more in it', () => {
    const small = spanOf({ id: '1' });
    expect(sizeOf({ ...small, attributes: { list: ['a', 'b'] } })).toBeGreaterThan(sizeOf(small));
  });
});
