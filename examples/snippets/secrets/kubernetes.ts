import assert from 'node:assert/strict';
import { kubernetesFake } from '@mnops/core/testing';

const cluster = await kubernetesFake();
const access = { server: cluster.url };

// #region kubernetes
import { SecretsManager } from '@mnops/secrets';
import { kubernetesSecrets } from '@mnops/secrets/kubernetes';

// In a Pod or beside kubectl: `access: clusterAccess()` of @mnops/core/config
const secrets = new SecretsManager({
  provider: kubernetesSecrets({ namespace: 'shop', cluster: { access } }),
});
await secrets.put('db/login', { user: 'app', password: 'p4ss' }); // the Secret db--login, with the keys user and password
await secrets.put('db/login', { user: 'app', password: 'next' });
await secrets.rollback('db/login');
const login = await secrets.getOrThrow('db/login');
assert.equal(login.field('password'), 'p4ss');
await secrets.stop();
// #endregion
await cluster.close();
