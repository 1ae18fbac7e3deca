import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, SecretsManager } from '@mnops/secrets';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
const provider = memory({ values: { 'customers/acme/key': 'k1' } });
const paths: string[] = [];
// #region hash-paths
const secrets = new SecretsManager({ provider, folder, audit: { hashPaths: true } });
await secrets.get('customers/acme/key');
for await (const { path } of secrets.audit.query({ target: 'customers/acme/key' })) paths.push(path); // hmac-sha256:…
// #endregion
assert.match(paths.join(), /^hmac-sha256:[0-9a-f]{64}$/);
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
