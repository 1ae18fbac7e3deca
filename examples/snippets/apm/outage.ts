import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const receiver = createServer((request, response) => request.resume().on('end', () => response.end('{}')));
await once(receiver.listen(0, '127.0.0.1'), 'listening');
const { port } = receiver.address() as AddressInfo;
process.env['OTLP_URL'] = `http://127.0.0.1:${port}`;
await new Promise((resolve) => receiver.close(resolve));

// #region outage
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlp } from '@mnops/apm/otlp';

const url = process.env['OTLP_URL'] ?? 'http://localhost:4318';
const config = { service: 'shop', folder: 'data/apm', processHooks: true, exporters: [otlp({ url })] };
const apm = new PerformanceMonitoringManager(config);
await apm.start();
apm.trace('work', () => undefined);
const left = await apm.stop({ graceMs: 100 }); // the back end is away: its spans stay in the folder
console.log(left.exporters['otlp']?.held); // 1
// #endregion

await once(receiver.listen(port, '127.0.0.1'), 'listening');
const next = new PerformanceMonitoringManager({ ...config, exporters: [otlp({ url })] });
await next.start();
await next.flush();
const { exporters } = await next.stop();
assert.equal(left.exporters['otlp']?.held, 1);
assert.deepEqual([exporters['otlp']?.replayed, exporters['otlp']?.delivered, exporters['otlp']?.held], [1, 1, 0]);
receiver.closeAllConnections();
receiver.close();
