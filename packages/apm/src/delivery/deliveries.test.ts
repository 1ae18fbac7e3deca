import { expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { testExporter } from '../testing/test-exporter.js';

it('opens each exporter once, also when a start is tried again because another could not be opened', async () => {
  const calls: string[] = [];
  let refuses = true;
  const first = {
    ...testExporter(() => ({ accepted: 1, rejected: 0 }), { id: 'first' }),
    open: async () => void calls.push('open first'),
    close: async () => void calls.push('close first'),
  };
  const second = {
    ...testExporter(() => ({ accepted: 1, rejected: 0 }), { id: 'second' }),
    open: async () => {
      calls.push('open second');
      if (refuses) throw new Error('not yet');
    },
    close: async () => void calls.push('close second'),
  };
  const apm = new PerformanceMonitoringManager({
    service: 'shop',
    registerGlobals: false,
    exporters: [first, second],
  });
  await expect(apm.start()).rejects.toThrow();
  refuses = false;
  await apm.start();
  expect(calls).toEqual(['open first', 'open second', 'open second']);
  await apm.stop();
  expect(calls.slice(3)).toEqual(['close first', 'close second']);
});
