import assert from 'node:assert/strict';
// #region back-ends
import { PerformanceMonitoringManager } from '@mnops/apm';
import { consoleExporter } from '@mnops/apm/console';
import { datadog } from '@mnops/apm/datadog';
import { elasticApm } from '@mnops/apm/elastic-apm';
import { jaeger } from '@mnops/apm/jaeger';
import { newRelic } from '@mnops/apm/new-relic';
import { zipkin } from '@mnops/apm/zipkin';

const backEnds = {
  console: () => consoleExporter(),
  jaeger: () => jaeger({ url: 'http://localhost:4318' }),
  zipkin: () => zipkin({ url: 'http://localhost:9411' }),
  datadog: () => datadog({ url: 'http://localhost:8126' }),
  elastic: () =>
    elasticApm({ url: 'http://localhost:8200', secretToken: () => process.env['ELASTIC_TOKEN'] ?? 'none' }),
  newRelic: () => newRelic({ region: 'eu', apiKey: () => process.env['NEW_RELIC_LICENSE_KEY'] ?? 'none' }),
};
const apm = new PerformanceMonitoringManager({ service: 'shop', exporters: [backEnds.console()] });
// #endregion

await apm.start();
apm.trace('work', () => undefined);
const { exporters } = await apm.stop();
assert.deepEqual([exporters['console']?.accepted, exporters['console']?.delivered], [1, 1]);
assert.deepEqual(
  Object.values(backEnds).map((make) => make().id),
  ['console', 'jaeger', 'zipkin', 'datadog', 'elastic-apm', 'new-relic'],
);
