import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretsManager } from '@mnops/secrets';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
const file = join(folder, 'secrets.vault');
const old = keyFile({ file: join(folder, 'old.key'), create: true });
const before = new SecretsManager({ provider: encryptedFile({ file, key: old }) });
await before.put('api/key', 'k1');
await before.stop();

// #region rewrap
import { callOf } from '@mnops/core';
import { encryptedFile, keyFile, keyRing } from '@mnops/secrets';

const call = callOf({ timeoutMs: 60_000 }); // bounds the whole of it
const next = keyFile({ file: join(folder, 'next.key'), create: true });
const vault = encryptedFile({ file, key: keyRing(old, [next]) }); // every process gets both keys first
const { values } = await vault.rewrap({ to: next }, call); // then one of them does this, once
console.log(`${values} values are wrapped with the new key`);
await vault.close?.(call);
call.end();
// #endregion
const after = new SecretsManager({ provider: encryptedFile({ file, key: next }) });
assert.equal((await after.getOrThrow('api/key')).reveal(), 'k1');
await after.stop();
rmSync(folder, { recursive: true, force: true });
