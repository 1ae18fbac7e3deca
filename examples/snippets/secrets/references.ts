import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory() });
await secrets.put('db/login', { user: 'app', password: 'p4ss' });
// #region references
const config = await secrets.resolveAll({
  url: 'postgres://app:${secret://db/login#password}@db:5432/orders',
  password: 'secret://db/login#password',
});
// Other hosts take the resolver, and follow rotation by it: new SomeHost({ secrets: resolver, … })
const resolver = secrets.resolver({ actor: 'web' });
// #endregion
assert.deepEqual(config, { url: 'postgres://app:p4ss@db:5432/orders', password: 'p4ss' });
assert.equal((await resolver.resolve('secret://db/login#user')).reveal(), 'app');
await secrets.stop();
