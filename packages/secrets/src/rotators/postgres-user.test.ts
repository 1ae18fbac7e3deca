import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { eventually, rotatorContract } from '@mnops/core/testing';
import { type PostgresServer, partSuite } from '@mnops/tooling/parts';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SecretsManager } from '../secrets-manager.js';
import { managerOf } from './fixtures/rotated-login.js';
import { tcpGate } from './fixtures/tcp-gate.js';
import type { Login } from './login.js';
import { type PostgresUserOptions, postgresUser } from './postgres-user.js';
import { scramVerifier } from './scram.js';

partSuite({ describe, it }, 'postgres', 'postgresUser', (postgres) => {
  let server: PostgresServer;
  const managers: SecretsManager[] = [];
  let names = 0;

  beforeAll(async () => {
    server = await postgres.start();
    await server.query("ALTER SYSTEM SET log_statement = 'all'");
    await server.query('SELECT pg_reload_conf()');
  }, 60_000);
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const secrets of managers.splice(0)) await secrets.stop();
  });

  type Credentials = Pick<Login, 'user' | 'password'>;
  const open = (login: Credentials): Promise<Client> => openAt(login, server.port);
  async function openAt({ user, password }: Credentials, port: number): Promise<Client> {
    const { host, database } = server;
    const client = new Client({ host, port, database, user, password, connectionTimeoutMillis: 5_000 });
    await client.connect();
    return client;
  }
  const admin = (): string => JSON.stringify({ user: server.user, password: server.password });
  const asAdmin = (more: Partial<PostgresUserOptions> = {}) =>
    postgresUser({ connect: open, admin: 'db/admin', ...more });

  async function newUser(rights = ''): Promise<{ user: string; password: string }> {
    names += 1;
    const login = { user: `app ${names}"é`, password: randomBytes(9).toString('base64url') };
    await server.query(`CREATE ROLE ${quoted(login.user)} LOGIN PASSWORD '${login.password}' ${rights}`);
    return login;
  }
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

  async function accepts(text: string): Promise<boolean> {
    try {
      await (await open(JSON.parse(text) as Login)).end();
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: '28P01' });
      return false;
    }
  }

  async function run(text: string, sql: string): Promise<unknown[]> {
    const client = await open(JSON.parse(text) as Login);
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  function manage(...given: Parameters<typeof managerOf>): SecretsManager {
    const secrets = managerOf(...given);
    managers.push(secrets);
    return secrets;
  }
  const current = async (secrets: SecretsManager): Promise<string> =>
    (await secrets.getOrThrow('db/login', { maxAgeMs: 0 })).reveal();

  for (const withAdmin of [true, false]) {
    rotatorContract({ describe, it }, `PostgreSQL ${withAdmin ? 'with' : 'without'} an admin`, async () => {
      const gate = await tcpGate(server);
      const connect = (login: Login): Promise<Client> => openAt(login, gate.port);
      return {
        provider: postgresUser({ connect, ...(withAdmin ? { admin: 'contract/admin' } : {}) }),
        current: Buffer.from(JSON.stringify(await newUser())),
        ...(withAdmin ? { admin: Buffer.from(admin()) } : {}),
        accepts: (value: Uint8Array) => accepts(Buffer.from(value).toString()),
        breakTarget: async () => gate.drop(),
        close: () => gate.close(),
      };
    });
  }

  it('takes turns between two users, who own and see the same, and keeps the rest of the value', async () => {
    const login = await newUser('CONNECTION LIMIT 7');
    const schema = `own${names}`;
    await server.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${quoted(login.user)}`);
    await server.query(`ALTER ROLE ${quoted(login.user)} SET search_path = ${schema}, public`);
    await server.query(`ALTER ROLE ${quoted(login.user)} SET statement_timeout = '7s'`);
    await server.query(`ALTER ROLE ${quoted(login.user)} IN DATABASE postgres SET lock_timeout = '3s'`);
    await server.query(`ALTER ROLE ${quoted(login.user)} SET my.own = 'a, b'`);
    const first = JSON.stringify({ ...login, host: server.host, extra: { kept: [1] } });
    const secrets = manage(asAdmin(), { login: first, admin: admin() }, { strategy: 'dual-user' });
    const seen = [first];
    for (let turn = 1; turn <= 4; turn += 1) {
      await secrets.rotation.rotate('db/login');
      const now = await current(secrets);
      expect(JSON.parse(now)).toMatchObject({
        user: turn % 2 === 1 ? `${login.user}_clone` : login.user,
        host: server.host,
        extra: { kept: [1] },
      });
      await run(now, `CREATE TABLE turn${turn} (id int)`);
      for (let each = 1; each <= turn; each += 1) await run(now, `INSERT INTO turn${each} VALUES (${turn})`);
      expect(await run(now, 'SHOW search_path')).toEqual([{ search_path: `${schema}, public` }]);
      expect(await run(now, 'SHOW statement_timeout')).toEqual([{ statement_timeout: '7s' }]);
      expect(await run(now, 'SHOW lock_timeout')).toEqual([{ lock_timeout: '3s' }]);
      expect(await run(now, 'SHOW my.own')).toEqual([{ 'my.own': 'a, b' }]);
      seen.push(now);
      for (const [at, value] of seen.entries()) expect(await accepts(value), `value ${at}`).toBe(at === turn);
    }
    expect(
      await server.query("SELECT DISTINCT rolconnlimit FROM pg_roles WHERE rolname LIKE 'app %'||'_clone'"),
    ).toMatch(/7/);
    for (const value of seen.slice(1)) expect(server.log()).not.toContain((JSON.parse(value) as Login).password);
    expect(server.log()).toContain('SCRAM-SHA-256$4096:');
  });

  it('leaves the user in use alone until its grace ends', async () => {
    const first = JSON.stringify(await newUser());
    const secrets = manage(asAdmin(), { login: first, admin: admin() }, { strategy: 'dual-user', graceMs: 3_600_000 });
    expect(await secrets.rotation.rotate('db/login')).toMatchObject({ outcome: 'grace' });
    expect([await accepts(first), await accepts(await current(secrets))]).toEqual([true, true]);
    const second = await current(secrets);
    await secrets.rotation.rotate('db/login', { endGrace: true, graceMs: 0 });
    expect([await accepts(first), await accepts(second), await accepts(await current(secrets))]).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('rotates one user without an admin, also when the last step was lost', async () => {
    const login = await newUser();
    const secrets = manage(postgresUser({ connect: open }), { login: JSON.stringify(login) });
    for (let turn = 0; turn < 3; turn += 1) await secrets.rotation.rotate('db/login');
    const now = await current(secrets);
    expect(JSON.parse(now)).toMatchObject({ user: login.user });
    expect([await accepts(JSON.stringify(login)), await accepts(now)]).toEqual([false, true]);
    const both = { rotator: postgresUser({ connect: open }), strategy: 'dual-user' as const };
    expect(() => managerOf(both.rotator, { login: now }, both)).toThrow(/rotations\.db\/login\.strategy/);
  });

  it('reports an admin without rights, and leaves the current login as it is', async () => {
    const weak = JSON.stringify(await newUser());
    for (const strategy of ['single-user', 'dual-user'] as const) {
      const login = JSON.stringify(await newUser());
      const secrets = manage(asAdmin(), { login, admin: weak }, { strategy });
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        details: { step: 'apply', code: 'MNOPS_CORE_ACCESS_DENIED' },
      });
      expect(await accepts(await current(secrets))).toBe(true);
      expect(await current(secrets)).toBe(login);
      await secrets.put('db/admin', admin());
      await secrets.rotation.resume('db/login');
      await secrets.rotation.rotate('db/login');
      expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
    }
  });

  it('does with CREATEROLE what a superuser can', async () => {
    const creator = JSON.stringify(await newUser('CREATEROLE'));
    const login = JSON.stringify(await newUser());
    const secrets = manage(asAdmin(), { login, admin: creator }, { strategy: 'dual-user' });
    for (let turn = 0; turn < 3; turn += 1) await secrets.rotation.rotate('db/login');
    expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
  });

  it('goes on with what was begun when the server comes back', async () => {
    for (const [strategy, steps] of [
      ['single-user', ['pending-stored', 'applied']],
      ['dual-user', ['pending-stored', 'applied', 'grace-recorded']],
    ] as const) {
      for (const step of steps) {
        const gate = await tcpGate(server);
        const login = JSON.stringify(await newUser());
        const rotator = asAdmin({ connect: (as) => openAt(as, gate.port) });
        const secrets = manage(rotator, { login, admin: admin() }, { strategy });
        secrets.on('rotation:advanced', (event) => event.step === step && gate.drop());
        const error: unknown = await secrets.rotation.rotate('db/login').catch((caught: unknown) => caught);
        expect(error).toMatchObject({
          code: 'MNOPS_SECRETS_ROTATION_FAILED',
          details: { code: 'MNOPS_CORE_UNAVAILABLE' },
        });
        gate.lift();
        await secrets.rotation.resume('db/login');
        await eventually(async () => ['idle', 'failed'].includes((await secrets.rotation.state('db/login')).state));
        const now = await current(secrets);
        expect(await accepts(now), `${strategy} ${step}`).toBe(true);
        expect(await accepts(login)).toBe(now === login);
        expect((await secrets.describe('db/login'))?.stages['pending']).toBeUndefined();
        await gate.close();
      }
    }
  });

  it('names the field of a value that is no login, and shows nothing of it', async () => {
    const values: [string, string][] = [
      ['text hunter2', '(root)|JSON'],
      ['["hunter2"]', 'root'],
      ['{"password":"hunter2"}', 'user'],
      ['{"user":"a","username":"a","password":"hunter2"}', 'username'],
      ['{"user":"a","password":7}', 'password'],
      ['{"user":"","password":"hunter2"}', 'user'],
      ['{"user":"a","password":"hunter2","port":"x"}', 'port'],
      [`{"user":"${'a'.repeat(58)}","password":"hunter2"}`, 'user'],
    ];
    for (const [login, field] of values) {
      const secrets = manage(asAdmin(), { login, admin: admin() }, { strategy: 'dual-user' });
      const error: unknown = await secrets.rotation.rotate('db/login').catch((caught: unknown) => caught);
      expect(error).toMatchObject({ details: { step: 'store-pending', code: 'MNOPS_SECRETS_VALUE_INVALID' } });
      const shown = inspect(error, { depth: 9, showHidden: true });
      expect(shown).toMatch(new RegExp(`field "${field}"|${field}`));
      expect(shown).not.toContain('hunter2');
    }
  });

  it('makes the verifier that the server makes of the same password', async () => {
    for (const password of [
      'plain',
      '\u00aa\u2168',
      'I\u00adX and\u00a0Y',
      '\u212bngström \u200dx',
      'p\u00e4ss\u3000w',
    ]) {
      await server.query(`CREATE ROLE verified PASSWORD '${password}'`);
      const stored = await server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'verified'");
      await server.query('DROP ROLE verified');
      const salt = Buffer.from(/:([^$]+)\$/.exec(stored)?.[1] ?? '', 'base64');
      expect(scramVerifier(password, salt)).toBe(stored);
    }
    expect(scramVerifier('plain')).not.toBe(scramVerifier('plain'));
  });

  it('refuses a connect that logs in as somebody else', async () => {
    const login = JSON.stringify(await newUser());
    const connect = (): Promise<Client> => open({ user: server.user, password: server.password });
    const secrets = manage(asAdmin({ connect }), { login, admin: admin() });
    await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({ details: { step: 'verify' } });
    expect(await accepts(login)).toBe(true);
  });
});
