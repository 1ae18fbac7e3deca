import { randomBytes } from 'node:crypto';
import { rotatorContract, testCall } from '@mnops/core/testing';
import { type MariadbServer, partSuite } from '@mnops/tooling/parts';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toSecretValue } from '../secret-value.js';
import type { SecretsManager } from '../secrets-manager.js';
import { managerOf } from './fixtures/rotated-login.js';
import { tcpGate } from './fixtures/tcp-gate.js';
import { grantsFor, requirementOf } from './mysql-grants.js';
import { type MysqlUserOptions, mysqlUser } from './mysql-user.js';

interface Credentials {
  readonly user: string;
  readonly password: string;
}

partSuite({ describe, it }, 'mariadb', 'mysqlUser', (mariadb) => {
  let server: MariadbServer;
  const managers: SecretsManager[] = [];
  let names = 0;

  beforeAll(async () => {
    server = await mariadb.start();
    await server.query(
      "SET GLOBAL general_log_file = 'general.log'; SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1",
    );
    await server.query('CREATE TABLE app.facts (id int); CREATE ROLE readers; GRANT SELECT ON app.* TO readers');
  }, 60_000);
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const secrets of managers.splice(0)) await secrets.stop();
  });

  const open = (login: Credentials): Promise<Connection> => openAt(login, server.port);
  async function openAt({ user, password }: Credentials, port: number): Promise<Connection> {
    return await createConnection({ host: server.host, port, user, password });
  }
  const admin = (): string => JSON.stringify({ user: server.user, password: server.password });
  const asAdmin = (more: Partial<MysqlUserOptions> = {}) => mysqlUser({ connect: open, admin: 'db/admin', ...more });
  const account = (user: string): string => `'${user.replaceAll("'", "''")}'@'%'`;

  async function newUser(): Promise<Credentials> {
    names += 1;
    const login = { user: `app\`'é ${names}`, password: randomBytes(9).toString('base64url') };
    await server.query(`CREATE USER ${account(login.user)} IDENTIFIED BY '${login.password}'`);
    return login;
  }

  async function accepts(text: string): Promise<boolean> {
    try {
      await (await open(JSON.parse(text) as Credentials)).end();
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^ER_ACCESS_DENIED/) });
      return false;
    }
  }

  function manage(...given: Parameters<typeof managerOf>): SecretsManager {
    const secrets = managerOf(...given);
    managers.push(secrets);
    return secrets;
  }
  const current = async (secrets: SecretsManager): Promise<string> =>
    (await secrets.getOrThrow('db/login', { maxAgeMs: 0 })).reveal();

  rotatorContract({ describe, it }, 'MariaDB', async () => {
    const gate = await tcpGate(server);
    const connect = (login: Credentials): Promise<Connection> => openAt(login, gate.port);
    return {
      provider: mysqlUser({ connect, admin: 'contract/admin' }),
      current: Buffer.from(JSON.stringify(await newUser())),
      admin: Buffer.from(admin()),
      accepts: (value: Uint8Array) => accepts(Buffer.from(value).toString()),
      breakTarget: async () => gate.drop(),
      close: () => gate.close(),
    };
  });

  it('takes turns between two accounts with the same rights, and keeps passwords out of the log', async () => {
    const login = await newUser();
    const name = account(login.user);
    await server.query(
      `CREATE DATABASE \`odd\`\` TO '\`; GRANT SELECT ON \`odd\`\` TO '\`.* TO ${name} WITH GRANT OPTION;
       GRANT INSERT, UPDATE (id) ON app.facts TO ${name}; GRANT readers TO ${name}; SET DEFAULT ROLE readers FOR ${name};
       GRANT USAGE ON *.* TO ${name} WITH MAX_USER_CONNECTIONS 7`,
    );
    const rightsOf = async (user: string): Promise<string[]> =>
      (await server.query(`SHOW GRANTS FOR ${account(user)}`))
        .split('\n')
        .map((line) => line.replaceAll('_clone', '').replace(/'\*[0-9A-F]{40}'/, "'*'"))
        .sort();
    const first = JSON.stringify(login);
    const secrets = manage(asAdmin(), { login: first, admin: admin() }, { strategy: 'dual-user' });
    const seen = [first];
    for (let turn = 1; turn <= 4; turn += 1) {
      await secrets.rotation.rotate('db/login');
      seen.push(await current(secrets));
      expect(await Promise.all(seen.map((value) => accepts(value)))).toEqual(seen.map((_, at) => at === turn));
      if (turn === 1) await server.query(`GRANT DELETE ON app.facts TO ${account(`${login.user}_clone`)}`);
    }
    expect(JSON.parse(await current(secrets))).toMatchObject({ user: login.user });
    expect(await rightsOf(`${login.user}_clone`)).toEqual(await rightsOf(login.user));
    expect((await rightsOf(login.user)).join()).toMatch(/DELETE.*SET DEFAULT ROLE/);
    const log = await server.query('SELECT argument FROM mysql.general_log');
    for (const value of seen.slice(1)) expect(log).not.toContain((JSON.parse(value) as Credentials).password);
  });

  it('gives the password itself to a server that wants to see how strong it is', async () => {
    const login = JSON.stringify(await newUser());
    await server.query("INSTALL SONAME 'simple_password_check'");
    try {
      const secrets = manage(asAdmin(), { login, admin: admin() });
      for (let turn = 0; turn < 3; turn += 1) await secrets.rotation.rotate('db/login');
      expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
    } finally {
      await server.query("UNINSTALL SONAME 'simple_password_check'");
    }
  });

  it('reports an admin without rights, and leaves the current login as it is', async () => {
    const weak = JSON.stringify(await newUser());
    for (const strategy of ['single-user', 'dual-user'] as const) {
      const login = JSON.stringify(await newUser());
      const secrets = manage(asAdmin(), { login, admin: weak }, { strategy });
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        details: { step: 'apply', code: 'MNOPS_CORE_ACCESS_DENIED' },
      });
      expect([await current(secrets), await accepts(login)]).toEqual([login, true]);
      await secrets.put('db/admin', admin());
      await secrets.rotation.rotate('db/login');
      expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
    }
  });

  it('goes on with what was begun when the server comes back', async () => {
    for (const strategy of ['single-user', 'dual-user'] as const) {
      for (const step of ['pending-stored', 'applied', 'grace-recorded']) {
        const gate = await tcpGate(server);
        const login = JSON.stringify(await newUser());
        const rotator = asAdmin({ connect: (as) => openAt(as, gate.port) });
        const secrets = manage(rotator, { login, admin: admin() }, { strategy });
        secrets.on('rotation:advanced', (event) => event.step === step && gate.drop());
        await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
          details: { code: 'MNOPS_CORE_UNAVAILABLE' },
        });
        gate.lift();
        await secrets.rotation.resume('db/login');
        const now = await current(secrets);
        expect([await accepts(now), await accepts(login)], `${strategy} ${step}`).toEqual([true, now === login]);
        await gate.close();
      }
    }
  });
});

describe('mysqlUser on MySQL', () => {
  const value = (user: string, password: string) =>
    toSecretValue('db/login', 'test', {
      value: Buffer.from(JSON.stringify({ user, password })),
      version: '1',
      stages: [],
    });

  /** A server that knows passwords as MySQL does: a first and a second one. It answers `version`. */
  function mysqlLike(version: string) {
    const passwords = { first: 'old', second: undefined as string | undefined };
    const statements: string[] = [];
    const connect = async ({ user, password }: Credentials) => {
      if (user !== 'root' && password !== passwords.first && password !== passwords.second)
        throw Object.assign(new Error('Access denied'), { code: 'ER_ACCESS_DENIED_ERROR' });
      return {
        async query(sql: string): Promise<[unknown]> {
          if (sql === 'SELECT USER()') return [[{ user: `${user}@localhost` }]];
          if (sql === 'SELECT VERSION()') return [[{ version }]];
          statements.push(sql);
          const set = /IDENTIFIED BY '([^']+)'( RETAIN CURRENT PASSWORD)?/.exec(sql);
          if (set !== null) {
            if (set[2] !== undefined) passwords.second = passwords.first;
            passwords.first = set[1] ?? '';
          }
          if (sql.endsWith('DISCARD OLD PASSWORD')) passwords.second = undefined;
          return [[]];
        },
        end: async () => undefined,
      };
    };
    return { connect, passwords, statements };
  }
  const context = (current: string, pending: string) => ({
    path: 'db/login',
    token: 't',
    strategy: 'single-user' as const,
    current: value('app', current),
    pending: value('app', pending),
    admin: value('root', 'root'),
    call: testCall(),
  });

  it.each(['8.0.14', '8.4.0', '9.1.0-log'])(
    'keeps both passwords of one user until the grace ends: %s',
    async (version) => {
      const { connect, passwords } = mysqlLike(version);
      const rotator = mysqlUser({ connect, admin: 'db/admin' });
      const step = context('old', 'new');
      await rotator.apply(step);
      await rotator.apply(step);
      expect(passwords).toEqual({ first: 'new', second: 'old' });
      await rotator.verify(step);
      await rotator.revoke(step);
      expect(passwords).toEqual({ first: 'new', second: undefined });
      const next = context('new', 'newer');
      await rotator.apply(next);
      await rotator.discard?.(next);
      expect(passwords).toEqual({ first: 'new', second: undefined });
    },
  );

  it.each(['8.0.13', '5.7.44', '11.4.2-MariaDB'])(
    'replaces the password where the server keeps one: %s',
    async (version) => {
      const { connect, passwords, statements } = mysqlLike(version);
      const rotator = mysqlUser({ connect, admin: 'db/admin' });
      await rotator.apply(context('old', 'new'));
      await rotator.revoke(context('old', 'new'));
      expect(passwords).toEqual({ first: 'new', second: undefined });
      expect(statements.join()).not.toMatch(/RETAIN|DISCARD/);
    },
  );

  it('copies grants as MySQL shows them, and leaves none out unseen', () => {
    const login = (user: string) => ({ user, password: 'x', fields: {} });
    const copy = { old: login('a'), next: login('a_clone'), accountHost: '%' };
    expect(
      grantsFor(
        [
          'GRANT USAGE ON *.* TO `a`@`%`',
          'GRANT SELECT ON `x`.* TO `a`@`%` WITH GRANT OPTION',
          'GRANT `r`@`%` TO `a`@`%`',
        ],
        copy,
      ),
    ).toEqual([
      "GRANT USAGE ON *.* TO 'a_clone'@'%'",
      "GRANT SELECT ON `x`.* TO 'a_clone'@'%' WITH GRANT OPTION",
      "GRANT `r`@`%` TO 'a_clone'@'%'",
    ]);
    for (const odd of [
      'GRANT PROXY ON `x`@`%` TO `b`@`%`',
      'DROP DATABASE `x` TO `a`@`%`',
      'GRANT USAGE ON *.* TO `a`@`%`; DROP',
    ])
      expect(() => grantsFor([odd], copy)).toThrow(/not understood/);
    expect(requirementOf("CREATE USER `a`@`%` IDENTIFIED WITH 'x' AS ' REQUIRE SSL ' REQUIRE NONE")).toBe('');
    expect(requirementOf("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*A' REQUIRE X509")).toBe(' REQUIRE X509');
  });
});
