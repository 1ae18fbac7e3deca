import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
const server = new Set(['first']);

// #region rotation
import { randomBytes } from 'node:crypto';
import { encryptedFile, type Rotator, rawKey, SecretsManager } from '@mnops/secrets';

const rotator: Rotator = {
  specVersion: 1,
  kind: 'rotator',
  id: 'my-server',
  capabilities: { strategies: ['single-user'], overlap: true }, // the old and the new value work side by side
  generate: async () => randomBytes(24).toString('base64url'),
  apply: async ({ pending }) => void server.add(pending.reveal()),
  verify: async ({ pending }) => assert.ok(server.has(pending.reveal())),
  revoke: async ({ current }) => void server.delete(current.reveal()),
  discard: async ({ pending }) => void server.delete(pending.reveal()),
};
const secrets = new SecretsManager({
  provider: encryptedFile({ file: join(folder, 'secrets.vault'), key: rawKey(randomBytes(32)), reloadIntervalMs: 100 }),
  folder, // holds the journals: a rotation that is killed goes on at the next start
  rotations: { 'server/login': { rotator, schedule: 'daily', graceMs: 200 } },
});
await secrets.put('server/login', 'first');
const { outcome, version, revokeAt } = await secrets.rotation.rotate('server/login');
console.log(outcome, version, revokeAt); // grace 2 <when the old value is revoked>
// #endregion
assert.equal(outcome, 'grace');
while ((await secrets.rotation.state('server/login')).state !== 'idle')
  await new Promise((done) => setTimeout(done, 20));
assert.deepEqual([...server], [(await secrets.getOrThrow('server/login')).reveal()]);
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
