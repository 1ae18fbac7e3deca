import { generateKeyPairSync, sign } from 'node:crypto';
import {
  eventually,
  type KeyWrapperSubject,
  keyWrapperContract,
  secretProviderContract,
  testCall,
} from '@mnops/core/testing';
import { isRequired, type PostgresServer, part, partSuite, type VaultServer } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashicorpVault, type VaultAuth, vaultTransitKey } from './index.js';

const runner = { describe, it };

partSuite(runner, 'vault', 'vault, the real server', (vault) => {
  let server: VaultServer;
  let postgres: PostgresServer | undefined;
  const hasPostgres = part('postgres').available;
  const logins: Record<string, VaultAuth> = {};
  let mounts = 0;

  beforeAll(async () => {
    server = await vault.start();
    const policy = 'path "*" { capabilities = ["create","read","update","patch","delete","list","sudo"] }';
    await server.call('PUT', 'sys/policies/acl/all', { policy });
    await server.call('POST', 'sys/mounts/transit', { type: 'transit' });
    for (const name of ['one', 'two']) await server.call('POST', `transit/keys/${name}`, {});
    Object.assign(logins, await prepareLogins(server));
    if (!hasPostgres) return;
    postgres = await part('postgres').start();
    await prepareDatabase(server, postgres, vault.postgresPlugin);
  }, 120_000);

  afterAll(async () => {
    await server?.stop();
    await postgres?.stop();
  });

  secretProviderContract(runner, 'vault, real, with AppRole', async () => {
    mounts += 1;
    const mount = `kv-${mounts}/nested`;
    await server.call('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: '2' } });
    const auth = logins['appRole'] as VaultAuth;
    const provider = hashicorpVault({ address: server.url, mount, auth });
    // A fresh mount is upgraded for a moment and refuses writes meanwhile.
    await eventually(
      async () => await server.call('POST', `${mount}/data/ready`, { data: { a: 'b' } }).then(Boolean, () => false),
    );
    await server.call('DELETE', `${mount}/metadata/ready`);
    const close = async (): Promise<void> => await provider.close?.(testCall());
    const leasePath = hasPostgres ? 'database/creds/readonly' : undefined;
    return { provider, leasePath, secrets: [server.rootToken], close };
  });

  secretProviderContract(runner, 'vault, real, KV version 1', async () => {
    mounts += 1;
    const mount = `plain-${mounts}/nested`;
    await server.call('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: '1' } });
    const provider = hashicorpVault({ address: server.url, mount, kvVersion: 1, auth: logins['appRole'] as VaultAuth });
    const close = async (): Promise<void> => await provider.close?.(testCall());
    const leasePath = hasPostgres ? 'database/creds/readonly' : undefined;
    return { provider, leasePath, secrets: [server.rootToken], close };
  });

  it('finds out which version of the KV engine is at a mount, for an identity that may only read there', async () => {
    await server.call('POST', 'sys/mounts/deep/one', { type: 'kv' });
    await server.call('POST', 'sys/mounts/deep/two', { type: 'kv', options: { version: '2' } });
    await server.call('POST', 'deep/one/a/b', { value: 'x' });
    const policy =
      'path "deep/one/a/*" { capabilities = ["read"] } path "deep/two/data/a/*" { capabilities = ["read"] }';
    await server.call('PUT', 'sys/policies/acl/few', { policy });
    const made = await server.call('POST', 'auth/token/create', { policies: ['few'], ttl: '1h' });
    const auth = { token: String((made as { auth: { client_token: unknown } }).auth.client_token) };
    for (const [mount, versionIds] of [
      ['deep/one', 'none'],
      ['deep/two', 'integer'],
      ['deep/none', 'integer'],
    ] as const) {
      const provider = hashicorpVault({ address: server.url, mount, auth });
      await provider.open?.(testCall());
      expect([mount, provider.capabilities.versionIds]).toEqual([mount, versionIds]);
      if (mount === 'deep/one') {
        expect(Buffer.from((await provider.get('a/b', {}, testCall()))?.value ?? []).toString()).toBe('x');
      }
      await provider.close?.(testCall());
    }
  });

  keyWrapperContract(runner, 'vault transit, real', async () => {
    const options = { address: server.url, auth: { token: server.rootToken } };
    const [provider, same, other] = ['one', 'one', 'two'].map((key) => vaultTransitKey({ ...options, key }));
    const close = async (): Promise<void> => {
      for (const wrapper of [provider, same, other]) await wrapper?.close?.(testCall());
    };
    return { provider, same, other, secrets: [server.rootToken], close } as KeyWrapperSubject;
  });

  it.each(['appRole', 'userpass', 'jwt'])('lets in by %s, and refuses a wrong secret', async (name) => {
    const auth = logins[name] as VaultAuth;
    const provider = hashicorpVault({ address: server.url, auth });
    expect(await provider.get('absent', {}, testCall())).toBeUndefined();
    await provider.close?.(testCall());
    const wrong = JSON.parse(
      JSON.stringify(auth).replace(/"(secretId|password|jwt)":"[^"]+"/, '"$1":"wrong"'),
    ) as VaultAuth;
    const refused = hashicorpVault({ address: server.url, auth: wrong });
    await expect(refused.get('absent', {}, testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAUTHENTICATED' });
    await refused.close?.(testCall());
  });

  it('signs in again when its token was revoked, and reads on', async () => {
    const provider = hashicorpVault({ address: server.url, auth: logins['appRole'] as VaultAuth });
    await provider.put('again', Buffer.from('kept'), { token: 'again', stages: ['current'] }, testCall());
    await server.call('POST', 'sys/leases/revoke-prefix/auth/approle/login');
    const stored = await provider.get('again', {}, testCall());
    expect(Buffer.from(stored?.value ?? []).toString()).toBe('kept');
    await provider.close?.(testCall());
  });

  it.runIf(hasPostgres || isRequired('postgres'))('makes database users that appear, log in and vanish', async () => {
    const provider = hashicorpVault({ address: server.url, auth: logins['appRole'] as VaultAuth });
    const issued = await provider.issue?.('database/creds/readonly', 120_000, testCall());
    const { username } = JSON.parse(Buffer.from(issued?.value ?? []).toString()) as { readonly username: string };
    expect(issued?.ttlMs).toBe(120_000);
    const count = `SELECT count(*) FROM pg_roles WHERE rolname = '${username}'`;
    expect(await postgres?.query(count)).toBe('1');
    await provider.revoke?.(issued?.leaseId ?? '', testCall());
    expect(await postgres?.query(count)).toBe('0');
    await provider.close?.(testCall());
  });
});

async function prepareLogins(server: VaultServer): Promise<Record<string, VaultAuth>> {
  for (const method of ['approle', 'userpass', 'jwt'])
    await server.call('POST', `sys/auth/${method}`, { type: method });
  await server.call('POST', 'auth/approle/role/app', { token_policies: 'all' });
  const role = await server.call('GET', 'auth/approle/role/app/role-id');
  const secret = await server.call('POST', 'auth/approle/role/app/secret-id', {});
  await server.call('POST', 'auth/userpass/users/app', { password: 'right-password', token_policies: 'all' });
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  await server.call('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [pem] });
  const claims = { role_type: 'jwt', bound_audiences: ['vault'], user_claim: 'sub', token_policies: 'all' };
  await server.call('POST', 'auth/jwt/role/app', claims);
  const seconds = Math.floor(Date.now() / 1_000);
  const encoded = [
    { alg: 'RS256', typ: 'JWT' },
    { sub: 'app', aud: 'vault', iat: seconds, exp: seconds + 3_600 },
  ]
    .map((each) => Buffer.from(JSON.stringify(each)).toString('base64url'))
    .join('.');
  const jwt = `${encoded}.${sign('sha256', Buffer.from(encoded), privateKey).toString('base64url')}`;
  const dataOf = (answer: Record<string, unknown> | undefined): Record<string, string> =>
    answer?.['data'] as Record<string, string>;
  return {
    appRole: { appRole: { roleId: String(dataOf(role)['role_id']), secretId: String(dataOf(secret)['secret_id']) } },
    userpass: { userpass: { username: 'app', password: 'right-password' } },
    jwt: { jwt: { role: 'app', jwt } },
  };
}

async function prepareDatabase(server: VaultServer, postgres: PostgresServer, plugin: string): Promise<void> {
  const { host, port, database, user, password } = postgres;
  await server.call('POST', 'sys/mounts/database', { type: 'database' });
  await server.call('POST', 'database/config/main', {
    plugin_name: plugin,
    allowed_roles: ['readonly'],
    connection_url: `postgresql://{{username}}:{{password}}@${host}:${port}/${database}?sslmode=disable`,
    username: user,
    password,
  });
  await server.call('POST', 'database/roles/readonly', {
    db_name: 'main',
    creation_statements: [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`],
    default_ttl: '1h',
    max_ttl: '24h',
  });
}
