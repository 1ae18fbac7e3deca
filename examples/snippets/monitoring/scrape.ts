// #region scrape
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { httpMetrics, MetricRegistry, metricsHandler, processMetrics } from '@mnops/monitoring';

const metrics = new MetricRegistry();
const processes = processMetrics(metrics);
const scrape = metricsHandler(metrics);
const shop = httpMetrics(metrics, (_request, response) => response.end('hello'), { route: () => '/hello' });
const server = createServer((request, response) =>
  request.url === '/metrics' ? scrape(request, response) : shop(request, response),
);
// #endregion

await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
assert.ok(typeof address === 'object' && address !== null);
const url = `http://127.0.0.1:${address.port}`;
await (await fetch(url)).text();
const answer = await fetch(`${url}/metrics`);
assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
assert.match(
  await answer.text(),
  /http_server_request_duration_seconds_count\{method="GET",route="\/hello",status_class="2xx"\} 1/,
);
processes.stop();
server.closeAllConnections();
server.close();
