import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory() });
// #region exchange
const text = "DB_PASSWORD='p4ss $1'\nAPI_KEY=k1 # of the test account\n";
const plan = await secrets.importFrom(text, { format: 'dotenv', prefix: 'shop', dryRun: true });
console.log(plan.created); // [ 'shop/DB_PASSWORD', 'shop/API_KEY' ]
await secrets.importFrom(text, { format: 'dotenv', prefix: 'shop' });
const yaml = await secrets.exportTo('shop', { format: 'yaml' }); // every value in the clear
// #endregion
assert.equal(yaml, 'API_KEY: k1\nDB_PASSWORD: p4ss $1\n');
await secrets.stop();
