import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const told: string[] = [];
const inTwoDays = new Date(Date.now() + 2 * 86_400_000);
// #region expiry
const secrets = new SecretsManager({ provider: memory(), expiry: { warnBeforeMs: 7 * 86_400_000 } });
secrets.on('expiry:neared', ({ path, version, expiresAt }) => {
  told.push(`${path} v${version} expires ${expiresAt.toISOString()}`);
});
await secrets.put('api/key', 'k1', { expiresAt: inTwoDays });
// #endregion
while (told.length === 0) await new Promise((resolve) => setImmediate(resolve));
assert.deepEqual(told, [`api/key v1 expires ${inTwoDays.toISOString()}`]);
await secrets.stop();
