import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsKmsFake } from '@mnops/secrets/testing';

const fake = await awsKmsFake();
const { region, credentials, url: endpoint } = fake;
const keyId = fake.createKey();
const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const file = join(folder, 'secrets.vault');

// #region kms
import { encryptedFile, SecretsManager } from '@mnops/secrets';
import { awsKmsKey } from '@mnops/secrets/aws';

const key = awsKmsKey({ keyId, region, credentials, endpoint }); // leave `endpoint` out in AWS
const secrets = new SecretsManager({ provider: encryptedFile({ file, key }) });
await secrets.put('api/key', 'k1');
// #endregion
assert.equal((await secrets.getOrThrow('api/key')).reveal(), 'k1');
await secrets.stop();
await rm(folder, { recursive: true });
await fake.close();
