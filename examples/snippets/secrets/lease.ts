import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { SecretProvider } from '@mnops/core/spi';
import { memory, SecretsManager } from '@mnops/secrets';

// A back end that issues credentials of its own; HashiCorp Vault is one.
const live = new Set<string>();
const base = memory();
const provider: SecretProvider = {
  ...base,
  capabilities: { ...base.capabilities, leases: true },
  issue: async (path, ttlMs = 900_000) => {
    const leaseId = `${path}/${randomBytes(4).toString('hex')}`;
    live.add(leaseId);
    return { leaseId, ttlMs, renewable: true, value: randomBytes(12) };
  },
  renew: async (_leaseId, ttlMs = 900_000) => ({ ttlMs }),
  revoke: async (leaseId) => void live.delete(leaseId),
};
const secrets = new SecretsManager({ provider });
const connect = (password: Uint8Array): number => password.length;
// #region lease
const lease = await secrets.lease('database/creds/readonly', { ttlMs: 900_000 });
connect(lease.value.bytes()); // renewed in time, until it is revoked
lease.onChange((next) => connect(next.bytes())); // another one, once this one cannot be renewed
await lease.revoke(); // also at the end of `await using`, and by `secrets.stop()`
// #endregion
assert.equal(live.size, 0);
await secrets.stop();
