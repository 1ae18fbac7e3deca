import { traced } from '@mnops/core/operations';
import { context, propagation, trace } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { Trace } from '../trace.js';

const running: PerformanceMonitoringManager[] = [];

async function started(): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({ service: 'shop' });
  running.push(apm);
  await apm.start();
  return apm;
}

async function onlyTrace(apm: PerformanceMonitoringManager): Promise<Trace | undefined> {
  const found: Trace[] = [];
  for await (const one of apm.findTraces()) found.push(one);
  expect(found).toHaveLength(1);
  return found[0];
}

/** As an instrumented library does: it gets its tracer once. */
function libraryCall(tracer = trace.getTracer('library')): string {
  return tracer.startActiveSpan('query', (span) => {
    span.end();
    return span.spanContext().traceId;
  });
}

afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
  for (const part of [trace, context, propagation]) part.disable();
});

describe('the globals of OpenTelemetry', () => {
  it('go to the next manager when the one before it stops, with the tracers that libraries have', async () => {
    const old = await started();
    const tracer = trace.getTracer('library');
    libraryCall(tracer);
    const next = await started();
    await old.stop();
    const headers: Record<string, string> = {};
    const traceId = next.trace('GET /', (span) => {
      expect(libraryCall(tracer)).toBe(span.spanContext().traceId);
      propagation.inject(context.active(), headers);
      return libraryCall();
    });
    expect(headers['traceparent']).toContain(traceId);
    expect((await onlyTrace(next))?.spans.map(({ name }) => name).sort()).toEqual(['GET /', 'query', 'query']);
    expect((await onlyTrace(old))?.spans).toHaveLength(1);
  });

  it('keep the context of what is under way over the change', async () => {
    const old = await started();
    const next = await started();
    await next.trace('GET /', async (span) => {
      await old.stop();
      expect(trace.getActiveSpan()?.spanContext()).toEqual(span.spanContext());
      libraryCall();
      await traced('mnops:dr:backup', { source: 'orders' }, async () => {
        await traced('mnops:secrets:read', { path: 'db/login' }, async () => undefined);
      });
    });
    const found = await onlyTrace(next);
    const idOf = (name: string): string | undefined => found?.spans.find((span) => span.name === name)?.spanId;
    const parentOf = (name: string): string | undefined =>
      found?.spans.find((span) => span.name === name)?.parentSpanId;
    expect(parentOf('query')).toBe(idOf('GET /'));
    expect(parentOf('dr backup')).toBe(idOf('GET /'));
    expect(parentOf('secrets read')).toBe(idOf('dr backup'));
  });

  it('end an operation that was under way in the manager that began it', async () => {
    const old = await started();
    const next = await started();
    await next.trace('GET /', async () => {
      await traced('mnops:dr:backup', { source: 'orders' }, async () => await old.stop());
    });
    expect(next.stats().spans.open).toBe(0);
    expect((await onlyTrace(next))?.spans.map(({ name }) => name).sort()).toEqual(['GET /', 'dr backup']);
  });

  it('serve a library that kept its tracer when a manager follows another', async () => {
    const first = await started();
    const tracer = trace.getTracer('library');
    libraryCall(tracer);
    await first.stop();
    expect(tracer.startSpan('idle').isRecording()).toBe(false);
    const second = await started();
    libraryCall(tracer);
    expect((await onlyTrace(second))?.spans).toHaveLength(1);
  });

  it('are free when the last manager has stopped, whichever that is', async () => {
    const [first, second, third] = [await started(), await started(), await started()];
    await second.stop();
    await first.stop();
    libraryCall();
    expect((await onlyTrace(third))?.spans).toHaveLength(1);
    await third.stop();
    expect(trace.setGlobalTracerProvider(new BasicTracerProvider())).toBe(true);
  });

  it('are left to another SDK', async () => {
    const theirs = new BasicTracerProvider();
    trace.setGlobalTracerProvider(theirs);
    const apm = await started();
    libraryCall();
    apm.trace('own', () => undefined);
    expect((await onlyTrace(apm))?.spans.map(({ name }) => name)).toEqual(['own']);
    await apm.stop();
    expect(trace.setGlobalTracerProvider(new BasicTracerProvider())).toBe(false);
  });
});
