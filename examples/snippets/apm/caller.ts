import assert from 'node:assert/strict';
// #region caller
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PerformanceMonitoringManager } from '@mnops/apm';
import { otlpHandler } from '@mnops/apm/otlp';

const apm = new PerformanceMonitoringManager({ service: 'web' });
await apm.start();
const collector = createServer(otlpHandler(apm)).listen(0, '127.0.0.1');
await once(collector, 'listening');
const collectorUrl = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
const child = fork(new URL('called.ts', import.meta.url), [collectorUrl]);
const [{ url }] = (await once(child, 'message')) as [{ url: string }];

const traceId = await apm.trace('GET items', { kind: 'client' }, async (span) => {
  const headers: Record<string, string> = {};
  apm.inject(headers);
  await (await fetch(url, { headers })).text();
  return span.spanContext().traceId;
});
child.disconnect();
await once(child, 'exit');
collector.close();
console.log((await apm.getTrace(traceId))?.services); // web, api
// #endregion

const trace = await apm.getTrace(traceId);
assert.deepEqual(trace?.services, ['web', 'api']);
assert.equal(trace?.complete, true);
assert.deepEqual(
  apm.serviceMap().dependencies.map(({ client, server, calls }) => [client, server, calls]),
  [['web', 'api', 1]],
);
await apm.stop();
