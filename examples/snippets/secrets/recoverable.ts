import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memorySnapshot } from '@mnops/core/testing';
import { encryptedFile, rawKey, SecretsManager } from '@mnops/secrets';

const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
const secrets = new SecretsManager({
  provider: encryptedFile({ file: join(folder, 'secrets.vault'), key: rawKey(new Uint8Array(32)) }),
});
await secrets.put('api/key', 'k1');
const { sink, reader } = memorySnapshot();

// #region recoverable
import { callOf } from '@mnops/core';

const call = callOf({ timeoutMs: 60_000 });
await secrets.recoverable.snapshot(sink, call); // as encrypted as the vault itself
await secrets.put('api/key', 'a mistake');
await secrets.recoverable.restore(reader, { inPlace: true }, call); // everything, or an error
const findings = await secrets.recoverable.verify({ inPlace: true }, call);
// #endregion
assert.deepEqual(findings, []);
assert.equal((await secrets.getOrThrow('api/key', { maxAgeMs: 0 })).reveal(), 'k1');
call.end();
await secrets.stop();
rmSync(folder, { recursive: true, force: true });
