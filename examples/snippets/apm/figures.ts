import assert from 'node:assert/strict';
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();
for (let i = 0; i < 200; i += 1) {
  apm.trace('GET /items', { kind: 'server', attributes: { 'http.route': '/items' } }, () => {
    apm.trace('read items', { kind: 'client', attributes: { 'db.system.name': 'postgresql' } }, () => undefined);
  });
}

// #region figures
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
await apm.stop();
