// #region called
// called.ts
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlp } from '@mnops/apm/otlp';

const url = process.argv[2] ?? 'http://localhost:4318';
const apm = new PerformanceMonitoringManager({ service: 'api', exporters: [otlp({ url })] });
await apm.start();
const server = createServer((request, response) => {
  apm.trace('GET /items', { kind: 'server', parent: request.headers }, () => response.end('[]'));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
process.once('disconnect', () => {
  server.close();
  void apm.stop(); // delivers what is left
});
process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/items` });
// #endregion

// Nobody started it, so nobody ends it.
if (process.send === undefined) process.emit('disconnect');
