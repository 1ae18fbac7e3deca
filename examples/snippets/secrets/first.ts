import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
process.chdir(folder);

// #region first
import { encryptedFile, keyFile, SecretsManager } from '@mnops/secrets';

const key = keyFile({ file: 'config/key', create: true });
const secrets = new SecretsManager({
  provider: encryptedFile({ file: 'data/secrets.vault', key }),
  folder: 'data', // the audit log
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
process.chdir(tmpdir());
rmSync(folder, { recursive: true, force: true });
