import assert from 'node:assert/strict';

// #region back-ends
import { PerformanceMonitoringManager } from '@mnops/apm';
import { jaeger } from '@mnops/apm/jaeger';
import { newRelic } from '@mnops/apm/new-relic';

const apm = new PerformanceMonitoringManager({
  service: 'shop',
  exporters: [jaeger(), newRelic({ region: 'eu', apiKey: () => process.env['NEW_RELIC_LICENSE_KEY'] ?? 'none' })],
});
// #endregion

assert.deepEqual(Object.keys(apm.stats().exporters), ['jaeger', 'new-relic']);
