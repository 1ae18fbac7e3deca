import assert from 'node:assert/strict';

// #region fakes
import { SecretsManager } from '@mnops/secrets';
import { awsSecretsManager } from '@mnops/secrets/aws';
import { awsSecretsFake } from '@mnops/secrets/testing';

const fake = await awsSecretsFake();
const { region, credentials, url } = fake;
const secrets = new SecretsManager({ provider: awsSecretsManager({ region, credentials, endpoint: url }) });
await secrets.put('db/login', 'p4ss');
fake.denied.add('GetSecretValue'); // and how does the program take a refusal?
const refused = await secrets.get('db/login', { maxAgeMs: 0 }).catch((error) => error.code); // MNOPS_CORE_ACCESS_DENIED
await secrets.stop();
await fake.close();
// #endregion
assert.equal(refused, 'MNOPS_CORE_ACCESS_DENIED');
