import assert from 'node:assert/strict';
import { awsSecretsFake } from '@mnops/secrets/testing';

const fake = await awsSecretsFake();
const { region, credentials, url: endpoint } = fake;

// #region aws
import { SecretsManager } from '@mnops/secrets';
import { awsSecretsManager } from '@mnops/secrets/aws'; // npm install @aws-sdk/client-secrets-manager@3

const secrets = new SecretsManager({
  provider: awsSecretsManager({ region, credentials, endpoint }), // in AWS: { region } is enough
});
await secrets.put('db/login', { user: 'app', password: 'p4ss' });
await secrets.put('db/login', { user: 'app', password: 'next' });
const login = await secrets.getOrThrow('db/login');
const before = await secrets.getOrThrow('db/login', { stage: 'previous' }); // AWSPREVIOUS
// #endregion
assert.equal(login.field('password'), 'next');
assert.equal(before.field('password'), 'p4ss');
await secrets.stop();
await fake.close();
