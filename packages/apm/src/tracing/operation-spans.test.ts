import { coreError } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import { context, propagation, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import type { APMConfig } from '../config.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { Trace } from '../trace.js';

const running: PerformanceMonitoringManager[] = [];

async function started(config: APMConfig = {}): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({ service: 'shop', ...config });
  running.push(apm);
  await apm.start();
  return apm;
}

async function tracesOf(apm: PerformanceMonitoringManager): Promise<Trace[]> {
  const found: Trace[] = [];
  for await (const one of apm.findTraces()) found.push(one);
  return found;
}

afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
  trace.disable();
  context.disable();
  propagation.disable();
});

describe('operationSpans', () => {
  it('makes spans of what other packages do, inside the active span and around what they do in turn', async () => {
    const apm = await started();
    await apm.trace('POST /orders', { kind: 'server' }, async () => {
      await traced('mnops:dr:backup', { source: 'orders' }, async (fields) => {
        await new Promise((resolve) => setImmediate(resolve));
        await traced('mnops:secrets:read', { path: 'db/login' }, async () => undefined);
        await apm.trace('own work', async () => undefined);
        fields['newBytes'] = 7;
      });
      await apm.trace('after', async () => undefined);
    });
    const [found, ...others] = await tracesOf(apm);
    expect(others).toEqual([]);
    const named = new Map(found?.spans.map((span) => [span.name, span]));
    const parentOf = (name: string): string | undefined =>
      [...named.values()].find(({ spanId }) => spanId === named.get(name)?.parentSpanId)?.name;
    expect(parentOf('dr backup')).toBe('POST /orders');
    expect(parentOf('secrets read')).toBe('dr backup');
    expect(parentOf('own work')).toBe('dr backup');
    expect(parentOf('after')).toBe('POST /orders');
    expect(named.get('dr backup')?.attributes).toEqual({ 'mnops.source': 'orders', 'mnops.new_bytes': 7 });
    expect(named.get('dr backup')?.status.code).toBe('unset');
  });

  it('marks a failed operation with its code alone, and passes the failure on', async () => {
    const apm = await started();
    const run = traced('mnops:secrets:read', { path: 'db/login' }, async () => {
      throw coreError('MNOPS_CORE_NOT_FOUND', 'a message that may hold anything');
    });
    await expect(run).rejects.toThrow('a message');
    const [found] = await tracesOf(apm);
    expect(found?.root).toMatchObject({ name: 'secrets read', status: { code: 'error' } });
    expect(found?.root?.attributes['error.type']).toBe('MNOPS_CORE_NOT_FOUND');
    expect(
      JSON.stringify(found?.spans.map(({ attributes, events, status }) => [attributes, events, status])),
    ).not.toContain('a message');
  });

  it('leaves routine work alone unless it is part of something, and its own work always', async () => {
    const apm = await started();
    const evaluate = (): Promise<void> => traced('mnops:monitoring:evaluate', {}, async () => undefined);
    await evaluate();
    await traced('mnops:apm:find-root-cause', {}, async () => undefined);
    expect(await tracesOf(apm)).toEqual([]);
    await apm.trace('check now', evaluate);
    const [found] = await tracesOf(apm);
    expect(found?.spans.map(({ name }) => name)).toEqual(['check now', 'monitoring evaluate']);
  });

  it('makes no span of what is over at once', async () => {
    const apm = await started();
    await apm.trace('GET /', async () => {
      for (const waited of [false, true]) await traced('mnops:core:audit-append', { waited }, async () => undefined);
    });
    const [found] = await tracesOf(apm);
    expect(found?.spans.map(({ name, attributes }) => [name, attributes['mnops.waited']])).toEqual([
      ['GET /', undefined],
      ['core audit-append', true],
    ]);
  });

  it('listens to the packages that are named, to none, and to nothing after stop', async () => {
    const apm = await started({ traceOperations: ['dr'], registerGlobals: false });
    const none = await started({ traceOperations: false, registerGlobals: false });
    const work = async (): Promise<void> => {
      await traced('mnops:dr:drill', {}, async () => undefined);
      await traced('mnops:secrets:write', {}, async () => undefined);
    };
    await work();
    expect((await tracesOf(apm)).map(({ root }) => root?.name)).toEqual(['dr drill']);
    await apm.stop();
    await work();
    expect(await tracesOf(apm)).toHaveLength(1);
    expect(await tracesOf(none)).toEqual([]);
    expect(() => new PerformanceMonitoringManager({ traceOperations: ['apm'] as never })).toThrow('traceOperations');
  });
});
