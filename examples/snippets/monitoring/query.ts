// #region query
import assert from 'node:assert/strict';
import { MonitoringStackManager } from '@mnops/monitoring';

const monitoring = new MonitoringStackManager({ service: 'checkout' });
await monitoring.start();
const duration = monitoring.metrics.histogram({
  name: 'work_seconds',
  help: 'Work.',
  unit: 'seconds',
  labels: ['kind'],
});
for (let index = 0; index < 100; index++) duration.observe({ kind: 'fast' }, index / 1_000);

const [p90] = await monitoring.query({
  metric: 'work_seconds',
  reduce: { quantile: 0.9 },
  windowMs: 60_000,
  by: ['kind'],
});
await monitoring.stop();
// #endregion

assert.equal(p90?.labels['kind'], 'fast');
assert.ok(Math.abs((p90?.value ?? 0) - 0.09) < 0.01);
