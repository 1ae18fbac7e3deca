import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorFromResponse, httpClient, resourceUrl } from '@mnops/core/http';

const server = createServer((incoming, outgoing) => {
  if (incoming.url === '/api/bells/checkout%2Feu') outgoing.end('{"rung":3}');
  else outgoing.writeHead(429, { 'retry-after': '2' }).end();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;

// #region exchange
const client = httpClient({ maxBytes: 65_536, timeoutMs: 5_000 });

// Each segment is encoded whole; '.', '..' and empty ones are refused.
const url = resourceUrl(base, 'bells', 'checkout/eu');
const response = await client.request({ method: 'GET', url });
assert.deepEqual(response.json(), { rung: 3 });

// Any status is an answer; which ones are failures stands at the call.
const refused = await client.request({
  method: 'POST',
  url: resourceUrl(base, 'bells'),
  json: { severity: 'warning' },
});
const error = errorFromResponse(refused, { provider: 'belfry', operation: 'ring' });
assert.equal(error.code, 'MNOPS_CORE_THROTTLED');
assert.equal(error.retryAfterMs, 2_000);

await client.close();
// #endregion
server.close();
