import assert from 'node:assert/strict';
// #region forecast
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();

const next = apm.forecast({ operation: 'POST /orders', signal: 'throughput', horizonMs: 3_600_000 });
if (next.usable) console.log('calls per second at most', Math.max(...next.points.map(({ high }) => high)));
else console.log('go by what is measured now:', next.reason);
// #endregion
assert.equal(next.usable, false);
assert.equal(next.reason, 'unknown-operation');

// #region source
// Continues the example above.
import { watchMetric } from '@mnops/apm';
import { forecastMetric } from '@mnops/apm/analysis';
import { MonitoringStackManager } from '@mnops/monitoring';

const monitoring = new MonitoringStackManager({ service: 'shop' });
monitoring.metrics.gauge({ name: 'queue_depth', help: 'Mails that wait.' }).set(12);
const source = monitoring.metricSource;
const stopWatching = watchMetric(apm, { source, name: 'queue', query: { metric: 'queue_depth', reduce: 'last' } });
const asked = await forecastMetric({
  source,
  query: { metric: 'orders_total', reduce: 'rate' },
  horizonMs: 3_600_000,
});
console.log(asked.usable, asked.reason, asked.points[0]?.high);
// #endregion
stopWatching();
assert.equal(asked.reason, 'no-data');
assert.deepEqual(asked.notes, []);

await apm.stop();
