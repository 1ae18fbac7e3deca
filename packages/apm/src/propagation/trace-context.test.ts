import { defaultTextMapGetter, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTraceContext, traceParent } from './trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const good = `00-${traceId}-${spanId}-01`;

describe('readTraceContext', () => {
  it('reads what the standard allows', () => {
    for (const [traceparent, flags] of [
      [good, 1],
      [` ${good} `, 1],
      [`00-${traceId}-${spanId}-03`, 3],
      [`cc-${traceId}-${spanId}-01`, 1],
      [`cc-${traceId}-${spanId}-01-what-the-future-holds`, 1],
      [[good], 1],
    ] as const) {
      expect(readTraceContext({ traceparent })).toMatchObject({ traceId, spanId, traceFlags: flags });
    }
  });

  it('begins a new trace where the header is wrong or there are two', () => {
    for (const traceparent of [
      undefined,
      '',
      'x',
      `ff-${traceId}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId}-${spanId}-1`,
      `${good}-x`,
      `${good}.`,
      `cc-${traceId}-${spanId}-01.x`,
      [good, good],
      `${good},${good}`,
      `00-${traceId}-${spanId}-01${' '.repeat(1_000)}`,
    ]) {
      expect(readTraceContext({ traceparent }), String(traceparent)).toBeUndefined();
    }
  });

  it('joins state of several headers, and leaves out a state that is wrong', () => {
    const state = (tracestate: string | string[]): string | undefined =>
      readTraceContext({ traceparent: good, tracestate })?.traceState;
    expect(state(['a=1', 'b=2, c=3'])).toBe('a=1,b=2,c=3');
    expect(state('a=1,,b=2,')).toBe('a=1,b=2');
    for (const kept of ['t-1@vendor=x', '0a=1', 'a@b@c=1', 'a@=1', 'a= 1', `${'k'.repeat(256)}=${'v'.repeat(256)}`]) {
      expect(state(kept), kept).toBe(kept);
    }
    expect(state('a= 1 \t,\tb=2')).toBe('a= 1,b=2');
    expect(state(['a=1,b=2,a=3', 'b=4'])).toBe('a=1,b=2');
    for (const wrong of [
      'a',
      'A=1',
      '@a=1',
      'a =1',
      'a.b=1',
      'a=',
      '=1',
      'b=1,a',
      'a=\u00e9',
      'a=\u0000',
      'a=b=c',
      `${'k'.repeat(257)}=1`,
      `a=${'v'.repeat(257)}`,
      'ä=1',
    ]) {
      expect(state(wrong), wrong).toBeUndefined();
    }
    expect(state(Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(','))).toBeUndefined();
    expect(state(Array.from({ length: 32 }, (_, i) => `k${i}=1`).join(','))).toBeDefined();
  });

  it('shortens what is over 4,096 characters: long members first, then the oldest', () => {
    const long = (key: string): string => `${key}=${'v'.repeat(200)}`;
    const short = Array.from({ length: 12 }, (_, i) => `k${i}=1`);
    const wide = Array.from({ length: 20 }, (_, i) => long(`w${String(i).padStart(2, '0')}`));
    const text = [...short, ...wide].join(',');
    const kept = readTraceContext({ traceparent: good, tracestate: text })?.traceState?.split(',') ?? [];
    expect(kept.join(',').length).toBeLessThanOrEqual(4_096);
    expect(kept).toEqual([...short, ...wide.slice(0, 19)]);
  });

  it("round-trips with OpenTelemetry's own propagator", () => {
    const theirs = new W3CTraceContextPropagator();
    const id = (digits: number): fc.Arbitrary<string> =>
      fc
        .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits })
        .filter((text) => !/^0+$/.test(text));
    fc.assert(
      fc.property(id(32), id(16), fc.integer({ min: 0, max: 1 }), (trace32, span16, traceFlags) => {
        const header = traceParent({ traceId: trace32, spanId: span16, traceFlags });
        const context = theirs.extract(ROOT_CONTEXT, { traceparent: header }, defaultTextMapGetter);
        expect(trace.getSpanContext(context)).toMatchObject({ traceId: trace32, spanId: span16, traceFlags });
        expect(readTraceContext({ traceparent: header })).toMatchObject({
          traceId: trace32,
          spanId: span16,
          traceFlags,
        });
      }),
    );
  });

  it('throws at nothing', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (traceparent, tracestate) => {
        readTraceContext({ traceparent, tracestate } as Parameters<typeof readTraceContext>[0]);
        readTraceContext({ traceparent: good, tracestate } as Parameters<typeof readTraceContext>[0]);
      }),
      { numRuns: 2_000 },
    );
  });
});
