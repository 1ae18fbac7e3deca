import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, SecretsManager } from '@mnops/secrets';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
// #region access
const secrets = new SecretsManager({
  provider: memory(),
  folder, // the audit log is durable here, and what cannot be recorded is refused
  access: {
    roles: { reader: [{ path: 'db/*', allow: ['read'] }], admin: [{ path: '*', allow: ['*'] }] },
    actors: { web: ['reader'], ops: ['admin'] },
    defaultActor: 'web',
  },
});
await secrets.as('ops').put('db/login', 'p4ss');
await secrets.get('db/login');
await secrets.put('db/login', 'mine').catch((error) => console.log(error.code)); // MNOPS_CORE_ACCESS_DENIED
console.log(secrets.explain('web', 'update', 'db/login').reason);

for await (const entry of secrets.audit.query()) console.log(entry.actor, entry.operation, entry.path, entry.outcome);
const { intact } = await secrets.audit.verify(); // false after any edit
// #endregion
assert.equal(intact, true);
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
