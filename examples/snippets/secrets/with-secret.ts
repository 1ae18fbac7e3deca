import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory({ values: { 'db/password': 'old' } }) });
const accepted = 'new';
await secrets.get('db/password');
await secrets.put('db/password', 'new', { stage: 'pending' });
const connect = async (password: string): Promise<string> => {
  if (password !== accepted) throw Object.assign(new Error('refused'), { code: '28P01' });
  return 'connected';
};
// #region with-secret
const answer = await secrets.withSecret('db/password', (password) => connect(password.reveal()), {
  // Refused: the newest value is tried, then the pending one of a rotation.
  isAuthError: (error) => (error as { code?: string }).code === '28P01',
});
// #endregion
assert.equal(answer, 'connected');
await secrets.stop();
