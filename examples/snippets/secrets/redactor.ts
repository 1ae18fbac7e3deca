import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory({ values: { 'api/key': 'k-8f2c41' } }) });
// #region redactor
await secrets.get('api/key');
const redactor = secrets.redactor();
console.log(redactor.redact('GET /?key=k-8f2c41')); // GET /?key=[secret api/key]
const clean = redactor.stream(); // a Transform: child.stdout.pipe(clean).pipe(process.stdout)
// #endregion
assert.equal(redactor.redact('GET /?key=k-8f2c41'), 'GET /?key=[secret api/key]');
clean.destroy();
await secrets.stop();
