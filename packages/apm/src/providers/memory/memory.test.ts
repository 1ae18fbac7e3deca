import { testCall, traceExporterContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { PerformanceMonitoringManager } from '../../index.js';
import { spanOf } from '../../testing/spans.js';
import { memoryExporter } from './index.js';

traceExporterContract({ describe, it }, 'memory', async () => {
  const provider = memoryExporter();
  return { provider, received: () => provider.spans().map(({ spanId }) => spanId) };
});

describe('memoryExporter', () => {
  it('keeps the newest spans up to its bound and forgets on reset', async () => {
    const exporter = memoryExporter({ maxSpans: 3 });
    for (const id of ['1', '2', '3', '4', '5']) await exporter.export(batchOf([spanOf({ id })]), testCall());
    expect(exporter.spans().map(({ spanId }) => Number(spanId))).toEqual([3, 4, 5]);
    exporter.reset();
    expect(exporter.spans()).toEqual([]);
  });

  it('holds what a manager delivered', async () => {
    const exporter = memoryExporter();
    const apm = new PerformanceMonitoringManager({ service: 'shop', exporters: [exporter], registerGlobals: false });
    await apm.start();
    apm.trace('GET /items', { kind: 'server' }, () => apm.trace('query', () => undefined));
    await apm.stop();
    expect(exporter.spans().map(({ name, resource }) => [name, resource['service.name']])).toEqual([
      ['query', 'shop'],
      ['GET /items', 'shop'],
    ]);
  });

  it('refuses wrong options by name', () => {
    expect(() => memoryExporter({ maxSpans: 0 })).toThrow('maxSpans');
    expect(() => memoryExporter({ spans: 1 } as never)).toThrow('spans');
  });
});
