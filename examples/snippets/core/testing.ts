import assert from 'node:assert/strict';
// #region contract
import { describe, it } from 'node:test';
import { httpClient } from '@mnops/core/http';
import { memoryStore } from '@mnops/core/object-store';
import { fakeClock, faultServer, objectStoreContract, testCall } from '@mnops/core/testing';

// Under vitest the same line takes its describe and it.
objectStoreContract({ describe, it }, 'memoryStore', async () => ({ provider: memoryStore() }));
// #endregion

// #region faults
const server = await faultServer();
server.handler(() => ({ body: { ok: true } }));
server.next(['reset', { status: 503, headers: { 'retry-after': '1' } }]);

const client = httpClient();
await assert.rejects(client.request({ url: server.url }), { code: 'MNOPS_CORE_UNAVAILABLE' });
assert.equal((await client.request({ url: server.url })).status, 503);
assert.equal((await client.request({ url: server.url })).status, 200);
assert.equal(server.requests.length, 3);

await client.close();
await server.close();
// #endregion

// #region clock
const clock = fakeClock();
let rang = false;
clock.setTimer(86_400_000, () => {
  rang = true;
});
await clock.advance(86_400_000); // a day, at once
assert.equal(rang, true);
assert.equal(testCall({ timeoutMs: 500, clock }).remainingMs(), 500);
// #endregion
