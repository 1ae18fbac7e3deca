import assert from 'node:assert/strict';
// #region exchange
import { errorFromResponse, httpClient, resourceUrl } from '@mnops/core/http';
import { faultServer } from '@mnops/core/testing';

const client = httpClient({ maxBytes: 65_536, timeoutMs: 5_000 });
const server = await faultServer(); // any HTTP server; this one is of `@mnops/core/testing`
server.next([{ body: { rung: 3 } }, { status: 429, headers: { 'retry-after': '2' } }]);

// Each segment is encoded whole; '.', '..' and empty ones are refused.
const url = resourceUrl(`${server.url}/api`, 'bells', 'checkout/eu');
const response = await client.request({ method: 'GET', url });
assert.deepEqual(response.json(), { rung: 3 });
assert.equal(server.requests[0]?.url, '/api/bells/checkout%2Feu');

// Any status is an answer; which ones are failures stands at the call.
const refused = await client.request({ method: 'POST', url, json: { severity: 'warning' } });
const error = errorFromResponse(refused, { provider: 'belfry', operation: 'ring' });
assert.equal(error.code, 'MNOPS_CORE_THROTTLED');
assert.equal(error.retryAfterMs, 2_000);

await client.close();
// #endregion
await server.close();
