import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const receiver = createServer((request, response) => request.resume().on('end', () => response.end('{}')));
await once(receiver.listen(0, '127.0.0.1'), 'listening');
process.env['OTLP_URL'] = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;

// #region delivery
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlp } from '@mnops/apm/otlp';

const url = process.env['OTLP_URL'] ?? 'http://localhost:4318';
const apm = new PerformanceMonitoringManager({
  service: 'shop',
  exporters: [otlp({ url, headers: { 'api-key': () => process.env['OTLP_KEY'] ?? 'none' } })],
});
apm.on('exporter:down', ({ exporter, code }) => console.warn(exporter, code));
await apm.start();
apm.trace('work', () => undefined);
const { exporters } = await apm.stop({ graceMs: 5_000 });
console.log(exporters['otlp']);
// #endregion

assert.deepEqual([exporters['otlp']?.accepted, exporters['otlp']?.delivered, exporters['otlp']?.held], [1, 1, 0]);
receiver.close();
