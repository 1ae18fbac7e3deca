// #region webhook
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { fileNotifier, MonitoringStackManager, webhookNotifier } from '@mnops/monitoring';

const monitoring = new MonitoringStackManager({
  service: 'checkout',
  notifiers: [
    webhookNotifier({ url: () => hookUrl, body: ({ status, title }) => ({ text: `${status}: ${title}` }) }),
    fileNotifier({ file: '/dev/null' }),
  ],
});
// #endregion

const received: string[] = [];
const server = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => received.push(chunk.toString()));
  request.on('end', () => response.end());
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
assert.ok(typeof address === 'object' && address !== null);
const hookUrl = `http://127.0.0.1:${address.port}/hook`;
await monitoring.start();
const { callOf } = await import('@mnops/core');
const call = callOf();
await monitoring.notifier.send(
  {
    key: 'deploy',
    status: 'info',
    severity: 'info',
    title: 'deployed',
    text: '',
    labels: {},
    links: [],
    startedAtMs: Date.now(),
  },
  call,
);
call.end();
await monitoring.stop();
assert.deepEqual(
  received.map((text) => JSON.parse(text)),
  [{ text: 'info: deployed' }],
);
server.closeAllConnections();
server.close();
