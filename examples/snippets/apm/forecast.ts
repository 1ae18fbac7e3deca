import assert from 'node:assert/strict';
import { PerformanceMonitoringManager, watchMetric } from '@mnops/apm';
import { createVectorDetector, forecastMetric, forecastSeries } from '@mnops/apm/analysis';
import { MonitoringStackManager } from '@mnops/monitoring';

const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false });
await apm.start();

// #region forecast
const next = apm.forecast({ operation: 'POST /orders', signal: 'throughput', horizonMs: 3_600_000 });
if (next.usable) console.log('calls per second at most', Math.max(...next.points.map(({ high }) => high)));
else console.log('go by what is measured now:', next.reason);
// #endregion
assert.equal(next.usable, false);
assert.equal(next.reason, 'unknown-operation');

const monitoring = new MonitoringStackManager({ service: 'shop' });
monitoring.metrics.gauge({ name: 'queue_depth', help: 'Mails that wait.' }).set(12);
// #region source
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

// #region series
const hours = Array.from({ length: 24 * 14 }, (_, hour) => 100 + 80 * Math.sin((hour / 24) * 2 * Math.PI));
const { usable, points } = forecastSeries(hours, { horizon: 24, minimum: 0 });
console.log(usable, points[6]?.value, points[6]?.low, points[6]?.high);
// #endregion
assert.equal(points.length, 24);
assert.ok(Math.abs((points[6]?.value ?? 0) - 180) < 20);

// #region vector
const together = createVectorDetector({ dimensions: 2 });
for (let i = 0; i < 2_000; i += 1) together.next([i % 10, (i % 10) * 2]);
console.log(together.next([9, 0])); // each is usual by itself, not together
// #endregion
await apm.stop();
