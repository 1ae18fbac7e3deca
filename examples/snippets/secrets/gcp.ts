import assert from 'node:assert/strict';
import { gcpFake } from '@mnops/secrets/testing';

const fake = await gcpFake();
const { project, accessToken, url } = fake;

// #region gcp
import { SecretsManager } from '@mnops/secrets';
import { gcpSecretManager } from '@mnops/secrets/gcp';

const secrets = new SecretsManager({
  provider: gcpSecretManager({ project, accessToken, endpoint: url }), // in Google Cloud: { project } is enough
});
const { version } = await secrets.put('db/login', { user: 'app', password: 'p4ss' });
const login = await secrets.getOrThrow('db/login');
// #endregion
assert.equal(login.version, version);
assert.equal(login.field('user'), 'app');
await secrets.stop();
await fake.close();
