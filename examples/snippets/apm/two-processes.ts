import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlp, otlpHandler } from '@mnops/apm/otlp';

if (process.argv[2] === 'api') await api(process.argv[3] ?? '');
else await web();

async function web(): Promise<void> {
  // #region caller
  const apm = new PerformanceMonitoringManager({ service: 'web' });
  await apm.start();
  const collector = createServer(otlpHandler(apm)).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const child = fork(import.meta.filename, ['api', `http://127.0.0.1:${(collector.address() as AddressInfo).port}`]);
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];

  const traceId = await apm.trace('GET items', { kind: 'client' }, async (span) => {
    const headers: Record<string, string> = {};
    apm.inject(headers);
    await (await fetch(url, { headers })).text();
    return span.spanContext().traceId;
  });
  // #endregion

  child.send('stop');
  await once(child, 'exit');
  const trace = await apm.getTrace(traceId);
  console.log(trace?.services, apm.serviceMap().dependencies);
  assert.deepEqual(trace?.services, ['web', 'api']);
  assert.equal(trace?.complete, true);
  assert.deepEqual(
    apm.serviceMap().dependencies.map(({ client, server, calls }) => [client, server, calls]),
    [['web', 'api', 1]],
  );
  collector.close();
  collector.closeAllConnections();
  await apm.stop();
}

async function api(collectorUrl: string): Promise<void> {
  // #region called
  const apm = new PerformanceMonitoringManager({ service: 'api', exporters: [otlp({ url: collectorUrl })] });
  await apm.start();
  const server = createServer((request, response) => {
    apm.trace('GET /items', { kind: 'server', parent: request.headers }, () => response.end('[]'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // #endregion

  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/items` });
  await once(process, 'message');
  server.close();
  server.closeAllConnections();
  await apm.stop();
  process.disconnect();
}
