import * as api from '@opentelemetry/api';
import { type Context, defaultTextMapGetter, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { isTracingSuppressed, suppressTracing } from '@opentelemetry/core';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { callerDecision, callerOf } from './caller.js';
import type { IncomingHeaders } from './carrier.js';
import { createPropagator } from './propagator.js';
import type { PropagatorName } from './propagator-names.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const traceparent = `00-${traceId}-${spanId}-01`;

interface Passed {
  readonly sent: Record<string, string>;
  readonly recorded: boolean;
  readonly span: api.SpanContext;
}

/** What a service that was called with these headers sends with a call of its own. */
async function pass(propagators: readonly PropagatorName[], headers: IncomingHeaders): Promise<Passed> {
  const apm = new PerformanceMonitoringManager({ service: 'shop', propagators, registerGlobals: false });
  await apm.start();
  const sent: Record<string, string> = {};
  const passed = apm.trace('serve', { kind: 'server', parent: headers }, (server) =>
    apm.trace('call', { kind: 'client' }, (span) => {
      apm.inject(sent);
      return { sent, recorded: server.isRecording(), span: span.spanContext() };
    }),
  );
  await apm.stop();
  return passed;
}

describe('what a caller says beside the ids', () => {
  it('B3: debug goes on, in either form, and as the debug flag of Jaeger', async () => {
    const debug = { b3: `${traceId}-${spanId}-d` };
    const { sent, span } = await pass(['b3', 'b3multi', 'jaeger'], debug);
    expect(sent).toEqual({
      b3: `${traceId}-${span.spanId}-d`,
      'x-b3-traceid': traceId,
      'x-b3-spanid': span.spanId,
      'x-b3-flags': '1',
      'uber-trace-id': `${traceId}:${span.spanId}:0:03`,
    });
    const multi = { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-flags': '1' };
    expect((await pass(['b3'], multi)).sent['b3']).toMatch(/-d$/);
    expect((await pass(['jaeger'], { 'uber-trace-id': `${traceId}:${spanId}:0:3` })).sent['uber-trace-id']).toMatch(
      /:03$/,
    );
    // Asked for beside W3C headers of the same trace, too.
    expect((await pass(['tracecontext', 'b3'], { traceparent, ...debug })).sent['b3']).toMatch(/-d$/);
    expect((await pass(['tracecontext', 'b3'], { traceparent })).sent['b3']).toMatch(/-1$/);
  });

  it.each<[headers: IncomingHeaders, recorded: boolean, digit: string]>([
    [{ b3: '0' }, false, '0'],
    [{ b3: '1' }, true, '1'],
    [{ b3: 'd' }, true, 'd'],
    [{ 'x-b3-sampled': '0' }, false, '0'],
    [{ 'x-b3-sampled': 'false' }, false, '0'],
    [{ 'x-b3-sampled': '1' }, true, '1'],
    [{ b3: 'x' }, true, '1'],
    [{}, true, '1'],
  ])('B3: a decision without ids rules the trace that begins here: %j', async (headers, recorded, digit) => {
    const passed = await pass(['b3'], headers);
    expect(passed.recorded).toBe(recorded);
    expect(passed.sent['b3']).toBe(`${passed.span.traceId}-${passed.span.spanId}-${digit}`);
  });

  it.each<[name: PropagatorName, headers: IncomingHeaders, decision: string | undefined]>([
    ['b3', { b3: `${traceId}-${spanId}` }, 'open'],
    ['b3', { b3: `${traceId}-${spanId}-1` }, undefined],
    ['b3', { b3: `${traceId}-${spanId}-0` }, undefined],
    ['b3', { b3: `${traceId}-${spanId}-d` }, 'yes'],
    ['b3multi', { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId }, 'open'],
    ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${spanId};Sampled=?` }, 'open'],
    ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${spanId}` }, 'open'],
    ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${spanId};Sampled=0` }, undefined],
    ['datadog', { 'x-datadog-trace-id': '1', 'x-datadog-parent-id': '2' }, 'open'],
    [
      'datadog',
      { 'x-datadog-trace-id': '1', 'x-datadog-parent-id': '2', 'x-datadog-sampling-priority': '0' },
      undefined,
    ],
    ['tracecontext', { traceparent }, undefined],
    ['b3', { b3: '0' }, 'no'],
  ])('tells samplers what is left to them: %s %j', (name, headers, decision) => {
    const propagator = createPropagator(api, [name], isTracingSuppressed);
    const context = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    expect(callerDecision(context, api.trace.getSpanContext(context))).toBe(decision);
    // A span of this process has decided.
    const local = { traceId, spanId: '1'.repeat(16), traceFlags: 1 };
    expect(callerDecision(api.trace.setSpanContext(context, local), local)).toBeUndefined();
  });

  const ids = { 'x-datadog-trace-id': '9532127138774266268', 'x-datadog-parent-id': '13235353014750950193' };
  const tags = '_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4,_dd.p.usr.id=Z=Z,other=1';

  it('Datadog: origin, tags and a priority that still holds go on, as headers and in tracestate', async () => {
    const headers = {
      ...ids,
      'x-datadog-tags': tags,
      'x-datadog-sampling-priority': '2',
      'x-datadog-origin': 'synthetics;=é'.slice(0, 12),
      traceparent,
      tracestate: 'other=1,dd=s:1;o:old',
    };
    const { sent, span } = await pass(['datadog', 'tracecontext'], headers);
    expect(sent).toEqual({
      'x-datadog-trace-id': '9532127138774266268',
      'x-datadog-parent-id': BigInt(`0x${span.spanId}`).toString(),
      'x-datadog-sampling-priority': '2',
      'x-datadog-origin': 'synthetics;=',
      'x-datadog-tags': '_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4,_dd.p.usr.id=Z=Z',
      traceparent: `00-${traceId}-${span.spanId}-01`,
      tracestate: `dd=s:2;o:synthetics_~;p:${span.spanId};t.dm:-4;t.usr.id:Z~Z,other=1`,
    });
    const none = await pass(['datadog'], { ...ids, 'x-datadog-sampling-priority': '-1' });
    expect(none.sent['x-datadog-sampling-priority']).toBe('-1');
    expect(none.recorded).toBe(false);
    expect(none.sent['x-datadog-tags']).toBeUndefined();
  });

  it('Datadog: reads the member of tracestate where there are no headers, and leaves it alone where not asked', async () => {
    const tracestate = 'a=1,dd=s:2;o:rum;p:0000000000000001;t.dm:-3;t.tid:1;x:y;t.x y:1';
    const { sent, span } = await pass(['tracecontext', 'datadog'], { traceparent, tracestate });
    expect(sent['tracestate']).toBe(`dd=s:2;o:rum;p:${span.spanId};t.dm:-3,a=1`);
    expect(sent['x-datadog-tags']).toBe('_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-3');
    expect(sent['x-datadog-origin']).toBe('rum');
    expect((await pass(['tracecontext'], { traceparent, tracestate })).sent['tracestate']).toBe(tracestate);
  });

  it('Datadog: sends no more than its readers take', async () => {
    const long = Array.from({ length: 40 }, (_, i) => `_dd.p.k${i}=${'v'.repeat(20)}`)
      .join(',')
      .slice(0, 512);
    const { sent } = await pass(['tracecontext', 'datadog'], { ...ids, traceparent, 'x-datadog-tags': long });
    expect(sent['x-datadog-tags']?.length).toBeLessThanOrEqual(512);
    expect(/dd=([^,]*)/.exec(sent['tracestate'] ?? '')?.[1]?.length).toBeLessThanOrEqual(256);
  });

  it('what came in goes out with its own trace only', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'shop', propagators: ['b3'], registerGlobals: false });
    await apm.start();
    const sent: Record<string, string> = {};
    apm.trace('serve', { parent: { b3: `${traceId}-${spanId}-d` } }, () =>
      apm.trace('job', { root: true }, () => apm.inject(sent)),
    );
    await apm.stop();
    expect(sent['b3']).not.toContain(traceId);
    expect(sent['b3']).toMatch(/-1$/);
  });

  it('Jaeger: baggage goes on, and W3C baggage of the same name wins', async () => {
    const headers = {
      'uber-trace-id': `${traceId}:${spanId}:0:1`,
      'uberctx-user': 'J%20%C3%A9',
      'uberctx-b': '1',
      baggage: 'b=2',
    };
    const { sent } = await pass(['jaeger', 'baggage'], headers);
    expect(sent).toMatchObject({ baggage: 'user=J%20%C3%A9,b=2', 'uberctx-user': 'J%20%C3%A9', 'uberctx-b': '2' });
  });

  it("keeps the properties of baggage, which OpenTelemetry's API shows", async () => {
    const propagator = createPropagator(api, ['baggage'], isTracingSuppressed);
    const read = (baggage: string): Context => propagator.extract(ROOT_CONTEXT, { baggage }, defaultTextMapGetter);
    const context = read('a=1;ttl=30;secret,b=2');
    expect(propagation.getBaggage(context)?.getEntry('a')?.metadata?.toString()).toBe('ttl=30;secret');
    const sent: Record<string, string> = {};
    propagator.inject(context, sent, api.defaultTextMapSetter);
    expect(sent).toEqual({ baggage: 'a=1;ttl=30;secret,b=2' });
    propagator.inject(
      suppressTracing(context),
      {
        get baggage(): string {
          throw new Error('written');
        },
      },
      api.defaultTextMapSetter,
    );
    expect(callerOf(context)).toBeUndefined();
  });
});
