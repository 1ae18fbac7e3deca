import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// #region audit
import { openAuditLog, verifyAuditFolder } from '@mnops/core/audit';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

const audit = await openAuditLog({ folder, service: 'shop', signingKey: privateKey });
await audit.append({ actor: 'alice', operation: 'read', target: 'db/password', outcome: 'ok' }); // durable when it resolves
await audit.append({ actor: 'mallory', operation: 'read', target: 'db/password', outcome: 'denied' });

for await (const record of audit.query({ outcome: 'denied' })) assert.equal(record.actor, 'mallory');
await audit.close();
assert.equal((await verifyAuditFolder(folder, { publicKey })).intact, true);
// #endregion

// #region tamper
const file = join(folder, (await readdir(folder)).find((name) => name.endsWith('.jsonl')) as string);
await writeFile(file, (await readFile(file, 'utf8')).replace('mallory', 'alice'));
const { intact, findings } = await verifyAuditFolder(folder, { publicKey });
assert.equal(intact, false);
assert.equal(findings[0]?.kind, 'changed');
// #endregion
await rm(folder, { recursive: true });
