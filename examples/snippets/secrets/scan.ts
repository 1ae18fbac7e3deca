import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, SecretsManager, scan } from '@mnops/secrets';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
writeFileSync(join(folder, 'app.log'), 'login with p4ss-w0rd-77\n');
const secrets = new SecretsManager({ provider: memory({ values: { 'db/login': 'p4ss-w0rd-77' } }) });
const found: string[] = [];
// #region scan
const login = await secrets.getOrThrow('db/login');
for await (const { file, line, rule, path } of scan({ folder, values: [login] })) {
  found.push(`${file}:${line} ${rule} ${path}`); // app.log:1 known-value db/login
}
// #endregion
assert.deepEqual(found, ['app.log:1 known-value db/login']);
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
