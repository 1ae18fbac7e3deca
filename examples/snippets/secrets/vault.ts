import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// A Vault that knows one secret, so that this example runs anywhere.
const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false };
const server = createServer((request, response) => {
  const login = { auth: { client_token: 'token', lease_duration: 3_600, renewable: true } };
  const read = { data: { data: { user: 'app', password: 'p4ss' }, metadata } };
  const lease = {
    lease_id: 'database/creds/readonly/1',
    lease_duration: 3_600,
    renewable: true,
    data: { username: 'v' },
  };
  const paths: Record<string, unknown> = {
    '/v1/auth/approle/login': login,
    '/v1/secret/data/db/login': read,
    '/v1/database/creds/readonly': lease,
  };
  request.resume();
  response.statusCode = request.url?.startsWith('/v1/sys/leases/revoke') === true ? 204 : 200;
  response.end(response.statusCode === 204 ? undefined : JSON.stringify(paths[request.url ?? ''] ?? {}));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const [roleId, secretId] = ['role', 'secret'];

// #region vault
import { SecretsManager } from '@mnops/secrets';
import { hashicorpVault } from '@mnops/secrets/vault'; // npm install node-vault@0.12

const secrets = new SecretsManager({
  provider: hashicorpVault({ address, auth: { appRole: { roleId, secretId: () => secretId } } }),
});
const password = (await secrets.getOrThrow('db/login')).field('password');

const lease = await secrets.lease('database/creds/readonly'); // a user of its own, renewed
await lease.revoke();
await secrets.stop();
// #endregion

assert.equal(password, 'p4ss');
server.close();
