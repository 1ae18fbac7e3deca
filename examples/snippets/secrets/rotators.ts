import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

// A PostgreSQL that knows two users, so that this example runs anywhere; `pg` has a Client of the same form.
const roles = new Map([['app', 'first']]);
class Client {
  readonly #login: { readonly user: string; readonly password: string };
  constructor(login: { readonly host: string; readonly user: string; readonly password: string }) {
    this.#login = login;
  }
  async connect(): Promise<void> {
    const { user, password } = this.#login;
    if (user === 'postgres' || roles.get(user) === password) return;
    const [, salt = '', storedKey] = /:([^$]+)\$([^:]+):/.exec(roles.get(user) ?? '') ?? [];
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), 4_096, 32, 'sha256');
    const clientKey = createHmac('sha256', salted).update('Client Key').digest();
    const isRight = createHash('sha256').update(clientKey).digest('base64') === storedKey;
    if (!isRight) throw Object.assign(new Error('password authentication failed'), { code: '28P01' });
  }
  async query(sql: string): Promise<{ rows: unknown[] }> {
    const [, user, verifier] = /^ALTER ROLE "(\w+)" PASSWORD '(.*)'$/.exec(sql) ?? [];
    if (user !== undefined && verifier !== undefined) roles.set(user, verifier);
    if (sql.includes('session_user')) return { rows: [{ user: this.#login.user }] };
    return { rows: sql.includes('rolconnlimit') ? [...roles.keys()].map((name) => ({ name, limit: -1 })) : [] };
  }
  async end(): Promise<void> {}
}

// #region rotators
import { memory, SecretsManager } from '@mnops/secrets';
import { postgresUser, signingKey } from '@mnops/secrets/rotators';

const rotator = postgresUser({
  admin: 'db/admin', // the secret with the login that may change roles
  async connect({ user, password }) {
    const client = new Client({ host: '127.0.0.1', user, password }); // that of pg
    await client.connect();
    return client;
  },
});
const secrets = new SecretsManager({
  provider: memory(),
  rotations: {
    'db/login': { rotator, strategy: 'dual-user', schedule: 'daily' },
    'jwt/key': { rotator: signingKey({ type: 'ed25519' }), schedule: 'monthly', graceMs: 86_400_000 },
  },
});
await secrets.put('db/admin', { user: 'postgres', password: 'all of it' });
await secrets.put('db/login', { user: 'app', password: 'first' });
await secrets.rotation.rotate('db/login');
const login = (await secrets.getOrThrow('db/login')).json<{ user: string; password: string }>();
console.log(login.user); // app_clone; app works until its grace ends, and is the next one
// #endregion
assert.equal(login.user, 'app_clone');
await new Client({ host: '', ...login }).connect();
await secrets.rotation.rotate('db/login', { endGrace: true, graceMs: 0 });
await assert.rejects(() => new Client({ host: '', ...login }).connect());
await secrets.stop();
