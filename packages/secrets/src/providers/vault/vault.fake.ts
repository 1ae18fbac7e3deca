import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';
import { type FakeKv, type FakePlainKv, fakeKv, fakePlainKv } from './vault-kv.fake.js';

/** A Vault in this process: KV version 2 at `secret/`, version 1 at `plain/`, sign-in, tokens, one database role, transit. Time is `nowMs`. */
export interface VaultFake extends FaultServer {
  readonly rootToken: string;
  readonly kv: FakeKv;
  readonly plain: FakePlainKv;
  /** Tokens that work, by text, with what is left of them. */
  readonly tokens: Map<string, FakeToken>;
  /** Leases that have not ended, by id. */
  readonly leases: Set<string>;
  /** What a sign-in grants. */
  grant: { ttlSeconds: number; renewable: boolean };
  /** Paths below `/v1/` that are refused by policy. */
  readonly denied: Set<string>;
  /** What it answers, for handlers of a test's own. */
  answer(request: RecordedRequest): ScriptedReply;
}

export interface FakeToken {
  ttlSeconds: number;
  readonly renewable: boolean;
}

/** What the fake lets in: the names and secrets of each way to sign in. */
export const fakeLogins = {
  roleId: 'fake-role-id',
  secretId: 'fake-secret-id-5f2c',
  username: 'fake user',
  password: 'fake-password-77ab',
  role: 'orders',
  jwt: 'fake.jwt.9d1e',
};

/** Starts the fake. */
export async function vaultFake(): Promise<VaultFake> {
  const server = await faultServer();
  const rootToken = `hvs.${randomBytes(12).toString('hex')}`;
  const transitKeys = new Map<string, Buffer>();
  const fake: VaultFake = {
    ...server,
    answer: (request) => answer(fake, transitKeys, request),
    rootToken,
    kv: fakeKv(),
    plain: fakePlainKv(),
    tokens: new Map([[rootToken, { ttlSeconds: 0, renewable: false }]]),
    leases: new Set(),
    grant: { ttlSeconds: 2_764_800, renewable: true },
    denied: new Set(),
  };
  server.handler(fake.answer);
  return fake;
}

function answer(fake: VaultFake, transitKeys: Map<string, Buffer>, request: RecordedRequest): ScriptedReply {
  const url = new URL(request.url, 'http://vault');
  if (!url.pathname.startsWith('/v1/')) return refused(404);
  const segments = url.pathname.slice('/v1/'.length).split('/').map(decodeURIComponent);
  const path = segments.join('/');
  const body = bodyOf(request);
  if (segments[0] === 'auth' && segments.includes('login')) return login(fake, segments, body);
  const token = fake.tokens.get(request.headers['x-vault-token'] ?? '');
  if (token === undefined) return refused(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n');
  if (fake.denied.has(path)) return refused(403, '1 error occurred:\n\t* permission denied\n\n');
  if (segments[0] === 'auth') return tokenReply(segments, token, request);
  if (path.startsWith(mounts)) return mountReply(path.slice(mounts.length));
  if (segments[0] === 'sys') return leaseReply(fake, path, body);
  if (path === 'database/creds/readonly') return issue(fake);
  if (segments[0] === 'transit') return transit(transitKeys, segments, body);
  if (segments[0] === 'secret') {
    return fake.kv.reply(request.method, segments[1] ?? '', segments.slice(2).join('/'), url.searchParams, body);
  }
  if (segments[0] === 'plain') {
    return fake.plain.reply(request.method, segments.slice(1).join('/'), url.searchParams, body);
  }
  return refused(404);
}

const mounts = 'sys/internal/ui/mounts/';

/** What Vault says of a mount to those who may see anything below it. */
function mountReply(mount: string): ScriptedReply {
  if (mount === 'plain') return { body: { data: { type: 'kv', path: 'plain/', options: null } } };
  if (mount === 'secret') return { body: { data: { type: 'kv', path: 'secret/', options: { version: '2' } } } };
  return refused(403, 'preflight capability check returned 403, please ensure client has appropriate permissions');
}

function bodyOf(request: RecordedRequest): Record<string, unknown> {
  try {
    return JSON.parse(request.text()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** An answer that refuses, in Vault's form. */
export function refused(status: number, ...errors: readonly string[]): ScriptedReply {
  return { status, body: { errors } };
}

function login(fake: VaultFake, segments: readonly string[], body: Record<string, unknown>): ScriptedReply {
  const { roleId, secretId, username, password, role, jwt } = fakeLogins;
  const right: Record<string, boolean> = {
    approle: body['role_id'] === roleId && body['secret_id'] === secretId,
    userpass: segments.at(-1) === username && body['password'] === password,
    jwt: body['role'] === role && body['jwt'] === jwt,
    kubernetes: body['role'] === role && body['jwt'] === jwt,
  };
  if (right[segments[1] ?? ''] !== true) return refused(400, 'invalid role or secret ID');
  const token = `hvs.${randomBytes(12).toString('hex')}`;
  fake.tokens.set(token, { ...fake.grant });
  return { body: { auth: authOf(token, fake.grant) } };
}

function authOf(token: string, { ttlSeconds, renewable }: FakeToken): Record<string, string | number | boolean> {
  return { client_token: token, accessor: 'accessor', lease_duration: ttlSeconds, renewable, token_type: 'service' };
}

function tokenReply(segments: readonly string[], token: FakeToken, request: RecordedRequest): ScriptedReply {
  if (segments[2] === 'lookup-self') return { body: { data: { ttl: token.ttlSeconds, renewable: token.renewable } } };
  if (segments[2] !== 'renew-self') return refused(404);
  if (!token.renewable) return refused(400, 'lease is not renewable');
  return { body: { auth: authOf(request.headers['x-vault-token'] ?? '', token) } };
}

function issue(fake: VaultFake): ScriptedReply {
  const leaseId = `database/creds/readonly/${randomBytes(8).toString('hex')}`;
  fake.leases.add(leaseId);
  const data = { username: `v-${randomBytes(6).toString('hex')}`, password: randomBytes(9).toString('hex') };
  return { body: { lease_id: leaseId, renewable: true, lease_duration: 3_600, data } };
}

function leaseReply(fake: VaultFake, path: string, body: Record<string, unknown>): ScriptedReply {
  const leaseId = String(body['lease_id']);
  if (path === 'sys/leases/revoke') {
    fake.leases.delete(leaseId);
    return { status: 204 };
  }
  if (path !== 'sys/leases/renew') return refused(404);
  if (!fake.leases.has(leaseId)) return refused(400, 'lease not found');
  const increment = Number(body['increment'] ?? 3_600);
  return { body: { lease_id: leaseId, renewable: true, lease_duration: Math.min(increment, 86_400) } };
}

function transit(keys: Map<string, Buffer>, segments: readonly string[], body: Record<string, unknown>): ScriptedReply {
  const [, action, name = ''] = segments;
  const context = Buffer.from(String(body['associated_data'] ?? ''), 'base64');
  if (action === 'encrypt') {
    const key = keys.get(name) ?? randomBytes(32);
    keys.set(name, key);
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
    const sealed = [cipher.update(Buffer.from(String(body['plaintext']), 'base64')), cipher.final()];
    const all = Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]);
    return { body: { data: { ciphertext: `vault:v1:${all.toString('base64')}` } } };
  }
  const key = keys.get(name);
  // As Vault does, `v0` stands for the first version too.
  const [, version, encoded = ''] = /^vault:v(\d+):(.*)$/.exec(String(body['ciphertext'])) ?? [];
  const all = Buffer.from(encoded, 'base64');
  if (action !== 'decrypt' || key === undefined || Number(version) > 1 || all.length < 28)
    return refused(400, 'invalid');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, all.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(context).setAuthTag(all.subarray(-16));
    const plain = Buffer.concat([decipher.update(all.subarray(12, -16)), decipher.final()]);
    return { body: { data: { plaintext: plain.toString('base64') } } };
  } catch {
    return refused(400, 'cipher: message authentication failed');
  }
}
