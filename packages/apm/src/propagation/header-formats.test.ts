import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { AWSXRayPropagator } from '@opentelemetry/propagator-aws-xray';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';
import { JaegerPropagator } from '@opentelemetry/propagator-jaeger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { Caller } from './caller.js';
import type { IncomingHeaders } from './carrier.js';
import { headerFormats, readFirst } from './header-formats.js';
import { type PropagatorName, propagatorNames } from './propagator-names.js';
import type { RemoteSpanContext } from './trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const spanNames = propagatorNames.filter((name) => name !== 'baggage');

function callerIn(name: PropagatorName, headers: IncomingHeaders): Caller | undefined {
  return readFirst(headerFormats([name]), (field) => headers[field]);
}

function read(name: PropagatorName, headers: IncomingHeaders): RemoteSpanContext | undefined {
  return callerIn(name, headers)?.span;
}

function write(name: PropagatorName, context: RemoteSpanContext): Record<string, string> {
  return Object.fromEntries(headerFormats([name]).flatMap((format) => format.write(context)));
}

const id = (digits: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits })
    .filter((text) => !/^0+$/.test(text));
const contexts: fc.Arbitrary<RemoteSpanContext> = fc.record({
  traceId: id(32),
  spanId: id(16),
  traceFlags: fc.integer({ min: 0, max: 1 }),
  traceState: fc.constant(undefined),
});

describe('header formats', () => {
  it.each(spanNames)('reads what it wrote: %s', (name) => {
    fc.assert(
      fc.property(contexts, (context) => {
        expect(read(name, write(name, context))).toEqual(context);
      }),
    );
  });

  const official: readonly (readonly [PropagatorName, TextMapPropagator])[] = [
    ['b3', new B3Propagator({ injectEncoding: B3InjectEncoding.SINGLE_HEADER })],
    ['b3multi', new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER })],
    ['jaeger', new JaegerPropagator()],
    ['xray', new AWSXRayPropagator()],
  ];

  it.each(official)("%s and OpenTelemetry's own read each other", (name, theirs) => {
    fc.assert(
      fc.property(contexts, (context) => {
        const { traceState: _, ...ids } = context;
        const seen = theirs.extract(ROOT_CONTEXT, write(name, context), defaultTextMapGetter);
        expect(trace.getSpanContext(seen)).toMatchObject(ids);
        const headers: Record<string, string> = {};
        theirs.inject(trace.setSpanContext(ROOT_CONTEXT, ids), headers, defaultTextMapSetter);
        const lower = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value]));
        expect(read(name, lower)).toEqual(context);
      }),
    );
  });

  it('reads short ids, open decisions, debug, and encoded separators', () => {
    const short = '8448eb211c80319c';
    const padded = `0000000000000000${short}`;
    const cases: readonly (readonly [PropagatorName, IncomingHeaders, string, number])[] = [
      ['b3', { b3: `${short}-${spanId}` }, padded, 1],
      ['b3', { b3: `${traceId}-${spanId}-d-${spanId}` }, traceId, 1],
      ['b3', { b3: '0', 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '0' }, traceId, 0],
      ['b3multi', { b3: `${traceId.toUpperCase()}-${spanId}-0` }, traceId, 0],
      ['b3multi', { 'x-b3-traceid': short, 'x-b3-spanid': spanId, 'x-b3-sampled': 'false' }, padded, 0],
      ['b3multi', { 'x-b3-traceid': short, 'x-b3-spanid': spanId, 'x-b3-flags': '1' }, padded, 1],
      ['jaeger', { 'uber-trace-id': `${short}%3A${spanId}%3a0%3A2` }, padded, 1],
      ['jaeger', { 'uber-trace-id': `${traceId}:${spanId}:${spanId}:0` }, traceId, 0],
      ['xray', { 'x-amzn-trace-id': xrayText('Self=1-2-3; ', ';Sampled=?;') }, traceId, 1],
      [
        'datadog',
        { 'x-datadog-trace-id': '9532127138774266268', 'x-datadog-parent-id': '13235353014750950193' },
        padded,
        1,
      ],
    ];
    for (const [name, headers, expected, traceFlags] of cases) {
      expect(read(name, headers), JSON.stringify(headers)).toEqual({
        traceId: expected,
        spanId,
        traceFlags,
        traceState: undefined,
      });
    }
  });

  it('reads the high half of a Datadog trace id and its priorities', () => {
    const ids = { 'x-datadog-trace-id': '9532127138774266268', 'x-datadog-parent-id': '13235353014750950193' };
    const tags = '_dd.p.dm=-1,_dd.p.tid=0af7651916cd43dd';
    for (const [priority, traceFlags] of [
      ['-1', 0],
      ['0', 0],
      ['1', 1],
      ['2', 1],
    ] as const) {
      const headers = { ...ids, 'x-datadog-tags': tags, 'x-datadog-sampling-priority': priority };
      expect(read('datadog', headers)).toMatchObject({ traceId, spanId, traceFlags });
    }
  });

  it('takes nothing from headers that are wrong', () => {
    const none = '0'.repeat(32);
    const parent = { 'x-datadog-parent-id': '1' };
    const wrong: readonly (readonly [PropagatorName, IncomingHeaders])[] = [
      ...['', '0', 'd', `${none}-${spanId}-1`, `${traceId}-${none.slice(16)}-1`, `${traceId}-${spanId}-x`].map(
        (b3) => ['b3', { b3 }] as const,
      ),
      ['b3', { b3: `${traceId}-${spanId}-1-${spanId}-1` }],
      ['b3', { b3: `${traceId}-${spanId}-1-x` }],
      ['b3', { b3: `${traceId.slice(1)}-${spanId}-1` }],
      ['b3', { b3: [`${traceId}-${spanId}-1`, `${traceId}-${spanId}-0`] }],
      ['b3multi', { 'x-b3-traceid': [traceId, traceId], 'x-b3-spanid': spanId }],
      ['b3multi', { 'x-b3-traceid': traceId }],
      ...[
        `0:${spanId}:0:1`,
        `${traceId}:0:0:1`,
        `${traceId}:${spanId}:0`,
        `${traceId}0:${spanId}:0:1`,
        '%',
        'é:é:0:1',
      ].map((text) => ['jaeger', { 'uber-trace-id': text }] as const),
      ['xray', { 'x-amzn-trace-id': '__proto__=1;constructor=2' }],
      ['xray', { 'x-amzn-trace-id': xrayText('Root=1-1-1;', '') }],
      ['xray', { 'x-amzn-trace-id': xrayText('', ` ${'x'.repeat(600)}`) }],
      ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c` }],
      ...['0', '-1', '18446744073709551616', '1e3', '0x10', '9'.repeat(400), '١'].map(
        (text) => ['datadog', { ...parent, 'x-datadog-trace-id': text }] as const,
      ),
      ['datadog', { 'x-datadog-trace-id': '1' }],
    ];
    for (const [name, headers] of wrong) expect(read(name, headers), JSON.stringify(headers)).toBeUndefined();
  });

  it.each(spanNames)('throws at nothing: %s', (name) => {
    const fields = [...new Set([...(headerFormats([name])[0]?.fields ?? []), 'b3', 'x-b3-flags'])];
    const value = fc.oneof(fc.anything(), fc.string({ unit: fc.constantFrom(...'01ad-:;=,%3RootParent_.é') }));
    fc.assert(
      fc.property(fc.tuple(...fields.map(() => value)), (values) => {
        const headers = Object.fromEntries(fields.map((field, index) => [field, values[index]]));
        const found = read(name, headers as IncomingHeaders);
        if (found !== undefined) expect(`${found.traceId}-${found.spanId}`).toMatch(/^[0-9a-f]{32}-[0-9a-f]{16}$/);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the option `propagators`', () => {
  it('writes every format, reads the first that names a parent, and goes without the rest', async () => {
    const apm = new PerformanceMonitoringManager({
      service: 'shop',
      propagators: ['datadog', 'b3', 'b3'],
      registerGlobals: false,
    });
    await apm.start();
    const headers: Record<string, string> = {};
    const own = apm.trace('call', (span) => {
      apm.inject(headers);
      return span.spanContext();
    });
    const parent = { b3: `${traceId}-${spanId}-1`, traceparent: `00-${'1'.repeat(32)}-${spanId}-01` };
    const joined = apm.trace('serve', { parent }, (span) => span.spanContext().traceId);
    const alone = apm.trace('serve', { parent: { traceparent: parent.traceparent } }, (s) => s.spanContext().traceId);
    const both = apm.trace('serve', { parent: { ...headers, b3: parent.b3 } }, (span) => span.spanContext().traceId);
    await apm.stop();
    expect(Object.keys(headers).sort()).toEqual([
      'b3',
      'x-datadog-parent-id',
      'x-datadog-sampling-priority',
      'x-datadog-tags',
      'x-datadog-trace-id',
    ]);
    expect(headers['b3']).toBe(`${own.traceId}-${own.spanId}-1`);
    expect(joined).toBe(traceId);
    expect(alone).not.toBe('1'.repeat(32));
    expect(both).toBe(own.traceId);
  });

  it('reads what there is of a hostile baggage, and throws at none', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false });
    await apm.start();
    const tenant = (baggage: unknown): string | undefined =>
      propagation.getBaggage(apm.extract({ baggage } as IncomingHeaders))?.getEntry('tenant')?.value;
    const all = ['%', 'a=%', '%=%', 'a=é', '__proto__=1', 'a=1,'.repeat(5_000), 5, {}, [null], [['a=1']], null];
    const read = all.map(tenant);
    const good = [tenant('%,tenant=x%20y;p=1'), tenant(['a=1', 'tenant=z'])];
    await apm.stop();
    expect(read).toEqual(all.map(() => undefined));
    expect(good).toEqual(['x y', 'z']);
  });

  it('is checked', () => {
    expect(() => new PerformanceMonitoringManager({ propagators: ['zipkin' as 'b3'] })).toThrow(
      expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID', message: expect.stringContaining('propagators') }),
    );
  });
});

function xrayText(before: string, after: string): string {
  return `${before}Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId}${after}`;
}
