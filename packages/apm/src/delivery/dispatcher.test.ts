import { coreError, type MnopsError } from '@mnops/core';
import type { ExportAnswer, Span, SpanBatch, TraceExporter } from '@mnops/core/spi';
import { eventually, fakeClock, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { apmError } from '../codes.js';

import { spanOf } from '../testing/spans.js';
import { dispatcherOptions } from '../testing/spooled-dispatcher.js';
import { testExporter } from '../testing/test-exporter.js';
import { Dispatcher, type DispatcherOptions } from './dispatcher.js';

type Step = 'ok' | 'hang' | 'lie' | MnopsError | Error | ((batch: SpanBatch) => ExportAnswer | Promise<ExportAnswer>);

function exporterOf(steps: Step[], taken: string[] = []): TraceExporter {
  const take = async (batch: SpanBatch): Promise<ExportAnswer> => {
    const step = steps.shift() ?? 'ok';
    if (step === 'hang') return await new Promise<ExportAnswer>(() => undefined);
    if (step === 'lie') return { accepted: 1e9, rejected: Number.NaN };
    if (typeof step === 'function') return await step(batch);
    if (step !== 'ok') throw step;
    for (const { spans } of batch.groups) taken.push(...spans.map(({ spanId }) => spanId));
    return { accepted: batch.spanCount, rejected: 0 };
  };
  return testExporter(take, { id: 'scripted', maxSpansPerRequest: 100 });
}

function dispatcherOf(exporter: TraceExporter, more: Partial<DispatcherOptions> = {}) {
  const clock = fakeClock();
  const log: string[] = [];
  const dispatcher = new Dispatcher({
    ...dispatcherOptions(exporter, clock),
    onDropped: (reason, count) => log.push(`${reason} ${count}`),
    onDown: (code) => log.push(`down ${code}`),
    onUp: () => log.push('up'),
    ...more,
  });
  return { dispatcher, clock, log };
}

function spans(count: number, from = 0, error = false): Span[] {
  return Array.from({ length: count }, (_, i) => spanOf({ id: (from + i + 1).toString(16), error }));
}

/** Holds at every moment: no span is nowhere, and none is in two places. */
function assertExact({ stats }: Dispatcher): void {
  const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  expect(stats.delivered + stats.held + dropped).toBe(stats.accepted);
}

const unavailable = (): MnopsError => coreError('MNOPS_CORE_UNAVAILABLE', 'away');

describe('Dispatcher', () => {
  it('counts spans once when the exporter rejects with nothing, or with an answer that cannot be read', async () => {
    const steps: Step[] = [
      () => Promise.reject(undefined),
      () => ({
        accepted: 3,
        rejected: 0,
        get samplingRates(): never {
          throw new Error('unreadable');
        },
      }),
    ];
    const { dispatcher, log } = dispatcherOf(exporterOf(steps));
    for (const span of spans(3)) dispatcher.add(span);
    await dispatcher.flush(testCall());
    for (const span of spans(3, 3)) dispatcher.add(span);
    await dispatcher.flush(testCall());
    expect(dispatcher.stats).toMatchObject({ accepted: 6, delivered: 0, held: 0, dropped: { failed: 6 } });
    expect(log).toEqual(['failed 3', 'failed 3']);
  });

  it('sends after the delay, or at once when a batch is full', async () => {
    const taken: string[] = [];
    const { dispatcher, clock } = dispatcherOf(exporterOf([], taken));
    for (const span of spans(3)) dispatcher.add(span);
    expect(dispatcher.stats.held).toBe(3);
    await clock.advance(1_000);
    await eventually(() => taken.length === 3);
    for (const span of spans(25, 10)) dispatcher.add(span);
    await eventually(() => dispatcher.stats.delivered === 28);
    expect(new Set(taken).size).toBe(28);
  });

  it('holds spans while the back end is away and delivers all of them afterwards', async () => {
    const taken: string[] = [];
    const steps: Step[] = Array.from({ length: 6 }, unavailable);
    const { dispatcher, clock, log } = dispatcherOf(exporterOf(steps, taken));
    for (const span of spans(35)) dispatcher.add(span);
    await eventually(() => log.length > 0);
    assertExact(dispatcher);
    expect(dispatcher.stats.down).toBe(true);
    while (taken.length < 35) {
      await clock.advance(30_000);
      await new Promise((resolve) => setImmediate(resolve));
      assertExact(dispatcher);
    }
    expect(log).toEqual(['down MNOPS_CORE_UNAVAILABLE', 'up']);
    expect(dispatcher.stats).toMatchObject({ delivered: 35, held: 0, retries: 6, down: false });
  });

  it('waits as long as the back end asks', async () => {
    const slow = coreError('MNOPS_CORE_THROTTLED', 'slow down', { retryAfterMs: 7_000 });
    const { dispatcher, clock } = dispatcherOf(exporterOf([slow]));
    for (const span of spans(10)) dispatcher.add(span);
    await eventually(() => dispatcher.stats.retries === 1);
    await clock.advance(6_900);
    expect(dispatcher.stats.delivered).toBe(0);
    await clock.advance(200);
    await eventually(() => dispatcher.stats.delivered === 10);
  });

  it('splits what is too large, down to the one span that is', async () => {
    const tooLarge = (batch: SpanBatch): ExportAnswer => {
      const ids = batch.groups.flatMap((group) => group.spans.map(({ spanId }) => spanId));
      if (ids.length > 2 || ids.includes('5'.padStart(16, '0'))) throw coreError('MNOPS_CORE_TOO_LARGE', 'cut it');
      return { accepted: ids.length, rejected: 0 };
    };
    const { dispatcher, log } = dispatcherOf(exporterOf(Array.from({ length: 50 }, () => tooLarge)));
    for (const span of spans(10)) dispatcher.add(span);
    await eventually(() => dispatcher.stats.held === 0);
    assertExact(dispatcher);
    expect(dispatcher.stats).toMatchObject({ delivered: 9, dropped: { 'too-large': 1 } });
    expect(log).toEqual(['too-large 1']);
  });

  it('counts what is refused, fails for good, or is answered with nonsense', async () => {
    const steps: Step[] = [
      apmError('MNOPS_APM_EXPORT_REJECTED', 'no'),
      new TypeError('a mistake of the exporter'),
      (batch) => ({ accepted: batch.spanCount - 3, rejected: 3 }),
      'lie',
      () => undefined as unknown as ExportAnswer,
    ];
    const { dispatcher, log } = dispatcherOf(exporterOf(steps));
    for (const span of spans(50)) dispatcher.add(span);
    await eventually(() => dispatcher.stats.held === 0);
    assertExact(dispatcher);
    expect(log).toEqual(['rejected 10', 'down scripted', 'failed 10', 'up', 'rejected 3', 'failed 10']);
    expect(dispatcher.stats.delivered).toBe(17);
  });

  it('ends a request that hangs, even for an exporter that does not listen, and tries again', async () => {
    const { dispatcher, clock, log } = dispatcherOf(exporterOf(['hang']));
    for (const span of spans(10)) dispatcher.add(span);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await clock.advance(5_000);
    await eventually(() => log.includes('down MNOPS_CORE_TIMEOUT'));
    await clock.advance(30_000);
    await eventually(() => dispatcher.stats.delivered === 10);
  });

  it('lets the oldest spans without an error go when the queue is full', async () => {
    const { dispatcher, log } = dispatcherOf(exporterOf(['hang']), { maxSpans: 20, batchSpans: 1_000 });
    const failed = spans(5, 0, true);
    for (const span of [...failed, ...spans(30, 100)]) dispatcher.add(span);
    expect(dispatcher.stats).toMatchObject({ held: 20, dropped: { 'queue-full': 15 } });
    expect(log).toHaveLength(15);
    const taken: string[] = [];
    const other = dispatcherOf(exporterOf([], taken), { maxSpans: 20, batchSpans: 1_000 });
    for (const span of [...failed, ...spans(30, 100)]) other.dispatcher.add(span);
    await other.dispatcher.flush(testCall());
    expect(taken).toEqual(expect.arrayContaining(failed.map(({ spanId }) => spanId)));
    expect(taken).toHaveLength(20);
  });

  it('bounds the queue by bytes too', () => {
    const { dispatcher } = dispatcherOf(exporterOf(['hang']), { maxBytes: 50_000, batchSpans: 1_000 });
    const attributes = { text: 'x'.repeat(10_000) };
    for (let i = 0; i < 20; i += 1) dispatcher.add(spanOf({ id: `${i + 1}`, attributes }));
    expect(dispatcher.stats.held).toBe(4);
    assertExact(dispatcher);
  });

  it('flushes what is held, and gives up waiting with the call', async () => {
    const { dispatcher } = dispatcherOf(exporterOf(['ok', 'hang']));
    for (const span of spans(4)) dispatcher.add(span);
    await dispatcher.flush(testCall());
    expect(dispatcher.stats).toMatchObject({ delivered: 4, held: 0 });
    await dispatcher.flush(testCall());
    dispatcher.add(spanOf({ id: 'f' }));
    const call = testCall();
    const flushing = dispatcher.flush(call);
    call.abort(new Error('enough'));
    await expect(flushing).rejects.toThrow('enough');
    expect(dispatcher.stats.held).toBe(1);
    dispatcher.close(new Error('stopped'));
    await eventually(() => dispatcher.stats.held === 0);
    expect(dispatcher.stats.dropped.stopped).toBe(1);
    dispatcher.add(spanOf({ id: 'e' }));
    expect(dispatcher.stats.dropped.stopped).toBe(2);
    assertExact(dispatcher);
  });
});
