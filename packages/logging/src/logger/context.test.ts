import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterEach, expect, it } from 'vitest';
import { LogAggregationManager, memorySink } from '../index.js';

afterEach(() => context.disable());

it('takes trace and span id from the active OpenTelemetry span, which wins over the context', async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const sink = memorySink();
  const logs = new LogAggregationManager({ service: 'shop', sinks: [sink], store: false });
  await logs.start();
  const logger = logs.logger('a');
  const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
  const span = trace.wrapSpanContext({ ...ids, traceFlags: 1 });
  logger.info('outside');
  logs.runWithContext({ traceId: 'ffffffffffffffffffffffffffffffff' }, () => {
    context.with(trace.setSpan(context.active(), span), () => logger.info('inside'));
    logger.info('context only');
  });
  const invalid = trace.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });
  context.with(trace.setSpan(context.active(), invalid), () => logger.info('invalid'));
  const [outside, inside, only, none] = sink.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(outside?.['traceId']).toBeUndefined();
  expect(inside).toMatchObject(ids);
  expect(only).toMatchObject({ traceId: 'ffffffffffffffffffffffffffffffff' });
  expect(only?.['spanId']).toBeUndefined();
  expect(none?.['traceId']).toBeUndefined();
  await logs.stop();
});
