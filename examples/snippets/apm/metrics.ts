import assert from 'node:assert/strict';
// #region query
import { PerformanceMonitoringManager } from '@mnops/apm';
import { callOf } from '@mnops/core';

const apm = new PerformanceMonitoringManager({ service: { name: 'shop', version: '1.4.0' } });
await apm.start();
for (let i = 0; i < 100; i += 1) {
  const attributes = { 'http.route': '/items', 'http.response.status_code': i % 20 === 0 ? 503 : 200 };
  apm.trace('GET /items', { kind: 'server', attributes }, () => undefined);
}

const requests = { metric: 'http_server_request_duration_seconds', reduce: 'increase', windowMs: 60_000 } as const;
const errors = { ...requests, match: { status_class: '5xx' }, by: ['version'] };
const ratio = { part: errors, whole: { ...requests, by: ['version'] } };
const [share] = await apm.metricSource.query({ ratio }, callOf({ timeoutMs: 1_000 }));
console.log(share?.labels['version'], share?.value);
// #endregion

assert.deepEqual([share?.labels, share?.value], [{ version: '1.4.0' }, 0.05]);
await apm.stop();
