import assert from 'node:assert/strict';
import { azureFake } from '@mnops/secrets/testing';

const fake = await azureFake();
const { vaultUrl, credential, client } = fake;

// #region azure
import { SecretsManager } from '@mnops/secrets';
import { azureKeyVault } from '@mnops/secrets/azure';

const secrets = new SecretsManager({
  provider: azureKeyVault({ vaultUrl, credential, client }), // `client` leads to a fake here; leave it out
});
await secrets.put('db/login', 'p4ss', { expiresAt: new Date('2100-01-01') });
const login = await secrets.getOrThrow('db/login');
// #endregion
assert.equal(login.reveal(), 'p4ss');
await secrets.stop();
await fake.close();
