import assert from 'node:assert/strict';
// #region figures
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();
for (let i = 0; i < 200; i += 1) {
  apm.trace('GET /items', { kind: 'server', attributes: { 'http.route': '/items' } }, () => {
    apm.trace('read items', { kind: 'client', attributes: { 'db.system.name': 'postgresql' } }, () => undefined);
  });
}

for (const { service, operation, count, durationMs, errorShare } of apm.baselines({ service: 'shop' })) {
  console.log(service, operation, count, durationMs.p50, durationMs.p95, durationMs.p99, errorShare);
}
for (const { client, server, calls, errors } of apm.serviceMap().dependencies) {
  console.log(`${client} -> ${server}: ${calls} calls, ${errors} failed`);
}
for await (const slow of apm.findTraces({ operation: 'GET /items', minDurationMs: 0.001, limit: 3 })) {
  console.log(slow.traceId, slow.durationMs);
}
// #endregion

assert.equal(apm.baselines({ operation: 'GET /items' })[0]?.count, 200);
assert.deepEqual(
  apm.serviceMap().dependencies.map(({ client, server, calls, virtual }) => ({ client, server, calls, virtual })),
  [{ client: 'shop', server: 'postgresql', calls: 200, virtual: true }],
);
// #region hours
// Continues the example above.
const monday = apm.baselines({ operation: 'GET /items', at: new Date('2026-01-05T09:30:00Z') });
console.log(monday[0]?.bucket, monday[0]?.durationMs.p95);
// #endregion

// #region metric
// Continues the first example of this section.
apm.recordMetric({ name: 'queue.depth', kind: 'gauge', value: 12, attributes: { queue: 'mail' } });
const [depth] = apm.baselines({ kind: 'metric', operation: 'queue.depth' });
console.log(depth?.labels, depth?.durationMs.mean);
// #endregion

assert.deepEqual([depth?.labels, depth?.durationMs.mean], [{ queue: 'mail' }, 12]);

await apm.stop();
