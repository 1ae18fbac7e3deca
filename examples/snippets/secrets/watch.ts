import assert from 'node:assert/strict';
import { memory, SecretsManager } from '@mnops/secrets';

const secrets = new SecretsManager({ provider: memory() });
await secrets.start();
const seen: (string | undefined)[] = [];
const changed = (path: string | undefined): void => {
  seen.push(path);
};
const end = new AbortController();
// #region watch
const watching = (async () => {
  for await (const { path } of secrets.watch('db/', { signal: end.signal })) changed(path);
})();
// #endregion
await secrets.put('db/login', 'p4ss');
await secrets.put('api/key', 'k1');
while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
end.abort();
await watching;
assert.deepEqual(seen, ['db/login']);
await secrets.stop();
