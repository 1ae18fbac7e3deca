import assert from 'node:assert/strict';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { fakeClock } from '@mnops/core/testing';
import { LogAggregationManager } from '@mnops/logging';
import { MonitoringStackManager } from '@mnops/monitoring';

const clock = fakeClock();
const service = 'stock';
const apm = new PerformanceMonitoringManager({ service, clock, registerGlobals: false });
const monitoring = new MonitoringStackManager({ service, clock, tickMs: 5_000, history: { windowMs: 900_000 } });
const logs = new LogAggregationManager({ service, clock, sinks: [] });
await Promise.all([apm.start(), monitoring.start(), logs.start()]);
const memory = monitoring.metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory.' });
const logger = logs.logger('orders');
for (let second = 0; second < 720; second += 5) {
  const isTrouble = second >= 600;
  memory.set(isTrouble ? 2e9 : 1e8 + (second % 7) * 1e5);
  logger.info(`order ${second} taken`);
  if (isTrouble) logger.error(`order ${second} waits for a connection`);
  await clock.advance(5_000);
}
await logs.flush();
const startedAt = new Date(clock.now() - 120_000);

// #region sources
// Needs managers of @mnops/monitoring and @mnops/logging that were started, and when the trouble began.
const report = await apm.findRootCause({
  at: startedAt,
  metrics: monitoring.metricSource, // or a list: of several sources, and of series of your own
  logs: logs.logSearch,
});
for (const { service, evidence } of report.candidates) console.log(service, evidence[0]?.text);
for (const note of report.notes) console.warn(note); // what fits nothing, or was not answered, and why
// #endregion

assert.equal(report.verdict, 'found');
assert.deepEqual(report.notes, []);
const texts = report.candidates[0]?.evidence.map(({ text }) => text).join('\n') ?? '';
assert.match(texts, /resident memory \(bytes\) of stock is 2000000000/);
assert.match(texts, /waits for a connection/);
await Promise.all([apm.stop(), monitoring.stop(), logs.stop()]);
