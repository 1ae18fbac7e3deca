import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

// #region outage
const secrets = new SecretsManager({
  provider: memory({ values: { 'api/key': 'k1' } }),
  cache: { ttlMs: 60_000, staleWhileRevalidateMs: 60_000, staleOnErrorMs: 3_600_000 },
});
const values = await Promise.all(Array.from({ length: 10_000 }, () => secrets.get('api/key')));
console.log(values.length, secrets.stats().providerCalls); // 10000 1
// #endregion
assert.equal(secrets.stats().providerCalls, 1);
await secrets.stop();
