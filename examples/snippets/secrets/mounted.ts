import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
writeFileSync(join(folder, 'api-key'), 'k1\n');
const env = { SHOP_DB__ADMIN_PASSWORD: 'p4ss' };

// #region mounted
import { environment, fallback, mountedFiles, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({
  provider: fallback([
    mountedFiles({ folder, trailingNewline: 'trim' }), // such as /run/secrets, or where Kubernetes mounts a Secret
    environment({ prefix: 'SHOP_', env }), // `env`: process.env where it is left out
  ]),
});
const key = await secrets.getOrThrow('api-key'); // the file api-key
const password = await secrets.getOrThrow('db/admin_password'); // SHOP_DB__ADMIN_PASSWORD
// #endregion
assert.deepEqual([key.reveal(), password.reveal()], ['k1', 'p4ss']);
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
