import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory({ values: { 'jwt/key': 'signing-key-1' } }) });
const tokenOf = (key: string): string => `signed with ${key}`;
// #region handle
const signing = secrets.handle('jwt/key');
await signing.ready();
signing.onChange((next) => console.log(`now ${next}`));

const token = tokenOf(signing.current.reveal()); // synchronous, follows rotation
const valid = signing.accepted.some((key) => tokenOf(key.reveal()) === token); // old, new and pending keys
// #endregion
assert.equal(valid, true);
await secrets.stop();
