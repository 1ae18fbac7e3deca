import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory() });
// #region versions
await secrets.create('api/key', 'k1');
const { version } = await secrets.put('api/key', 'k2');
await secrets.put('api/key', 'k3', { ifVersion: version }); // compare-and-set
await secrets.rollback('api/key'); // the value before, as a new version
await secrets.delete('api/key');
await secrets.restore('api/key');
for await (const each of secrets.versions('api/key')) console.log(each.version, each.stages.join());
// #endregion
assert.equal((await secrets.getOrThrow('api/key')).reveal(), 'k2');
await secrets.stop();
