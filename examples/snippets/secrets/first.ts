import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));

// #region first
import { encryptedFile, keyFile, SecretsManager } from '@mnops/secrets';

const key = keyFile({ file: join(folder, 'config', 'key'), create: true });
const secrets = new SecretsManager({
  provider: encryptedFile({ file: join(folder, 'data', 'secrets.vault'), key }),
  folder: join(folder, 'data'),
});
await secrets.start();

await secrets.put('db/login', { user: 'app', password: 'p4ss' }, { expiresAt: new Date('2100-01-01') });
const login = await secrets.getOrThrow('db/login');
console.log(`${login}`); // [secret db/login v1]
const password = login.field('password');

await secrets.stop();
// #endregion
assert.equal(password, 'p4ss');
assert.equal(`${login}`, '[secret db/login v1]');
rmSync(folder, { recursive: true, force: true });
