import assert from 'node:assert/strict';
// #region by-hand
import { type LogRecord, type MetricSeries, PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'operator' });
await apm.start();
const at = new Date(Date.now() - 300_000);
const everyStep = (usual: number, now: number) =>
  Array.from({ length: 90 }, (_, step) => {
    const atMs = at.getTime() + (step - 60) * 10_000;
    return { atMs, value: (atMs < at.getTime() ? usual : now) + (step % 5) / 100 };
  });
const metrics: MetricSeries[] = [
  { service: 'shop', name: 'p90_seconds', role: 'latency', points: everyStep(0.2, 0.9) },
  { service: 'stock', name: 'p90_seconds', role: 'latency', points: everyStep(0.1, 0.8) },
];
const logs: LogRecord[] = [{ service: 'stock', atMs: at.getTime() + 1_000, level: 'error', message: 'pool is empty' }];
const calls = [{ client: 'shop', server: 'stock' }];
const { candidates } = await apm.findRootCause({ at, service: 'shop', metric: 'p90_seconds', metrics, logs, calls });
console.log(candidates[0]?.service, candidates[0]?.evidence[0]?.text); // stock …
// #endregion

assert.equal(candidates[0]?.service, 'stock');
await apm.stop();
