import assert from 'node:assert/strict';
import { memory } from '@mnops/secrets';

const cloud = memory({ values: { 'db/login': '{"user":"app","password":"p4ss"}' } });
const local = memory({ values: { 'db/login': '{"user":"app","password":"old"}', 'feature/key': 'k1' } });
const [paris, oslo, overrides] = [memory(), memory(), memory({ values: { 'db/login': '{"host":"db2"}' } })];

// #region composites
import { fallback, merge, mirror, route, SecretsManager } from '@mnops/secrets';

const provider = route({
  'prod/': mirror([paris, oslo]), // written to both, read from the first
  'db/': merge([cloud, overrides]), // key-value maps, later ones over earlier ones; only read
  '': fallback([cloud, local], { on: ['absent', 'unavailable'] }), // the first that has it; never after a refusal
});
const secrets = new SecretsManager({ provider });
await secrets.put('prod/key', 'k2');
const login = (await secrets.getOrThrow('db/login')).json(); // { user: 'app', password: 'p4ss', host: 'db2' }
const key = (await secrets.getOrThrow('feature/key')).reveal(); // k1, which only the second one has
// #endregion
assert.deepEqual(login, { user: 'app', password: 'p4ss', host: 'db2' });
assert.equal(key, 'k1');
const call = { signal: new AbortController().signal, remainingMs: () => 1_000, secret: async () => '' };
assert.equal(Buffer.from((await oslo.get('prod/key', {}, call))?.value ?? []).toString(), 'k2');
await secrets.stop();
