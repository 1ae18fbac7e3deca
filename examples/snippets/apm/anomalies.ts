import assert from 'node:assert/strict';
// #region anomalies
import { PerformanceMonitoringManager } from '@mnops/apm';
import type { Notifier } from '@mnops/core/spi';

const pager: Notifier = {
  specVersion: 1,
  kind: 'notifier',
  id: 'pager',
  capabilities: { resolved: true, threads: false, maxBytes: 1_000 },
  send: async ({ status, text }) => console.log(status, text),
};

const apm = new PerformanceMonitoringManager({
  service: 'shop',
  notifiers: [pager],
  // Trouble is found after about 10 s here; the defaults (10 s buckets, 30 s) suit a service that runs for days.
  analysis: { bucketMs: 1_000, anomalies: { minDurationMs: 5_000 } },
});
await apm.start();
const stopListening = apm.on('anomaly:opened', async ({ service, operation, signal, openedAt }) => {
  const { candidates } = await apm.findRootCause({ service, operation, at: openedAt });
  console.log(signal, candidates[0]?.evidence[0]?.text);
});
console.log(apm.detectAnomalies({ open: true }), (await apm.health()).status);
// #endregion

assert.deepEqual(apm.detectAnomalies(), []);
stopListening();
await apm.stop();
