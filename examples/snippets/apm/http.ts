import assert from 'node:assert/strict';
// #region http
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { instrumentHttp } from '@mnops/apm/http';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();
const undo = instrumentHttp(apm, { ignore: ({ path }) => path === '/health' });

const server = createServer((_request, response) => response.end('[]')).listen(0, '127.0.0.1');
await once(server, 'listening');
// One trace of two spans: the request as fetch sent it, and as the server got it.
await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/items?token=abc`)).json();
server.close();
// #endregion

while (apm.stats().spans.ended < 2) await new Promise((resolve) => setImmediate(resolve));
const found = [];
for await (const { spans } of apm.findTraces()) found.push(...spans);
assert.deepEqual(found.map(({ kind, name }) => `${kind} ${name}`).sort(), ['client GET', 'server GET']);
assert.equal(new Set(found.map(({ traceId }) => traceId)).size, 1);
assert.equal(found.find(({ kind }) => kind === 'server')?.attributes['url.query'], 'token=REDACTED');
undo();
server.closeAllConnections();
await apm.stop();
