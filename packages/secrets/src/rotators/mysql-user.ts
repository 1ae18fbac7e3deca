import { createHash } from 'node:crypto';
import { codeOf } from '@mnops/core';
import { functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { AppliedRotationContext, Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { assertAdmin, type Login, type LoginChange, loginChange, loginOf, nextLogin } from './login.js';
import { grantsFor, requirementOf } from './mysql-grants.js';
import { mysqlLiteral } from './mysql-literal.js';
import { type PasswordOptions, passwordMaker, passwordSchema, plainAlphabet } from './password.js';
import {
  type ClientEvents,
  type ConnectAs,
  isAccepted,
  otherSession,
  type ServerKind,
  type ServerMeaning,
  withLogin,
} from './session.js';

/** What is used of a connection of `mysql2/promise`. */
export interface MysqlClientLike extends ClientEvents {
  /** Rows come first. */
  query(sql: string): Promise<readonly [unknown, ...unknown[]]>;
  end(): Promise<unknown>;
}

/** How the users of a MySQL or MariaDB server are rotated. */
export interface MysqlUserOptions {
  /** Opens a connection as the user of a login: `createConnection({ user, password, … })` of `mysql2/promise`. */
  readonly connect: ConnectAs<MysqlClientLike>;
  /** Path of the secret with the login that may create users, change them and give their rights: `CREATE USER`, `SELECT` on `mysql.*`, and what is given with `GRANT OPTION`. */
  readonly admin: string;
  /** Host part of the accounts. Default `%`. */
  readonly accountHost?: string | undefined;
  readonly password?: PasswordOptions | undefined;
}

const optionsSchema = v.strictObject({
  connect: functionSchema,
  admin: textSchema,
  accountHost: v.optional(textSchema, '%'),
  password: v.optional(passwordSchema),
});

/** What MariaDB takes; MySQL takes 32 and refuses more by itself. */
const maxNameBytes = 80;
const id = 'mysql-user';

type Run = (sql: string) => Promise<unknown>;

interface ServerFacts {
  readonly isMariadb: boolean;
  /** Whether an account can have a second password. */
  readonly keepsTwo: boolean;
}

/**
 * Rotates the password of a MySQL or MariaDB account; the secret is a JSON object with `user` (or `username`) and
 * `password`.
 *
 * With `dual-user` the other account of the pair takes over (`_clone` added to the name or taken off): it is created where
 * it is absent, and given every right that the old one has; rights that the old one lost since stay with it. The old one's
 * password is replaced by a random one when the grace ends. With `single-user`, MySQL from 8.0.14 on keeps the old
 * password beside the new one until then; MariaDB has no such thing, and the change has a gap that `withSecret` closes.
 * Connections that are open go on.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Steps reject with `MNOPS_SECRETS_VALUE_INVALID` for a secret of another
 * shape, `MNOPS_CORE_UNAUTHENTICATED` for a login that is refused, `MNOPS_CORE_ACCESS_DENIED` where the admin lacks a
 * right, and `MNOPS_CORE_UNAVAILABLE`.
 */
export function mysqlUser(options: MysqlUserOptions): Rotator {
  const parsed = parseOptions('mysqlUser', optionsSchema, options);
  const { accountHost } = parsed;
  const alphabet = `${plainAlphabet}-_.~`;
  const makePassword = passwordMaker('mysqlUser.password', { alphabet, ...parsed.password });
  const kind: ServerKind<MysqlClientLike> = {
    id,
    connect: options.connect,
    close: (client) => client.end(),
    meaningOf: mysqlMeaning,
  };
  const accountOf = (user: string): string => `${mysqlLiteral(user)}@${mysqlLiteral(accountHost)}`;

  /** Works as the admin. */
  async function change(
    { call }: AppliedRotationContext,
    { old, next, admin }: LoginChange,
    random: string | undefined,
    statements: (run: Run, server: ServerFacts) => Promise<void>,
  ): Promise<void> {
    const secrets = [old.password, next.password, ...(random === undefined ? [] : [random])];
    await withLogin(kind, assertAdmin(id, admin), { call, secrets }, async (client) => {
      const run: Run = async (sql) => (await client.query(sql))[0];
      // Literals mean the same in every mode of the server from here on.
      await run("SET SESSION sql_mode = ''");
      await statements(run, serverFacts(firstText(await run('SELECT VERSION()'))));
    });
  }

  return {
    specVersion: 1,
    kind: 'rotator',
    id,
    capabilities: { strategies: ['single-user', 'dual-user'], overlap: false },
    admin: parsed.admin,
    async generate(context) {
      return nextLogin(context, makePassword(), maxNameBytes);
    },
    async apply(context) {
      const step = loginChange(context);
      const { old, next } = step;
      // A second change would push the old password out of the place where the first one put it.
      if (await isAccepted(kind, next, context.call, isSessionOf)) return;
      await change(context, step, undefined, async (run, server) => {
        if (!step.changesUser) {
          await setPassword(run, server, accountOf(old.user), next.password, server.keepsTwo);
          return;
        }
        const [from, to] = [accountOf(old.user), accountOf(next.user)];
        const grants = grantsFor(textsOf(await run(`SHOW GRANTS FOR ${from}`)), { ...step, accountHost });
        const requirement = requirementOf(firstText(await run(`SHOW CREATE USER ${from}`)));
        // Locked by a password that nobody knows until it has its rights.
        await run(`CREATE USER IF NOT EXISTS ${to} IDENTIFIED BY ${mysqlLiteral(makePassword())}${requirement}`);
        for (const grant of grants) await run(grant);
        await setPassword(run, server, to, next.password);
      });
    },
    async verify({ pending, call }) {
      const login = loginOf(pending);
      await withLogin(kind, login, { call }, async (client) => {
        if (!(await isSessionOf(client, login))) throw otherSession(id, login);
      });
    },
    async revoke(context) {
      const step = loginChange(context);
      const { old, changesUser } = step;
      const random = makePassword();
      const account = accountOf(old.user);
      await change(context, step, random, async (run, server) => {
        if (changesUser) await setPassword(run, server, account, random);
        if (server.keepsTwo) await run(`ALTER USER ${account} DISCARD OLD PASSWORD`);
      });
    },
    async discard(context) {
      const step = loginChange(context);
      const { old, next, changesUser } = step;
      const isApplied = await isAccepted(kind, next, context.call, isSessionOf);
      if (!isApplied && (changesUser || (await isAccepted(kind, old, context.call, isSessionOf)))) return;
      const random = makePassword();
      const password = changesUser ? random : old.password;
      const account = accountOf(next.user);
      await change(context, step, random, async (run, server) => {
        await setPassword(run, server, account, password);
        if (server.keepsTwo) await run(`ALTER USER ${account} DISCARD OLD PASSWORD`);
      });
    },
  };
}

/** `USER()` is the name that the client gave; the part after the last `@` is where it comes from. */
async function isSessionOf(client: MysqlClientLike, { user }: Login): Promise<boolean> {
  const [rows] = await client.query('SELECT USER()');
  const session = firstText(rows);
  return session.slice(0, Math.max(0, session.lastIndexOf('@'))) === user;
}

/** MySQL has a second password since 8.0.14; MariaDB, whose versions are higher, does not. */
function serverFacts(version: string): ServerFacts {
  if (/mariadb/i.test(version)) return { isMariadb: true, keepsTwo: false };
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return { isMariadb: false, keepsTwo: major > 8 || (major === 8 && (minor > 0 || patch >= 14)) };
}

/**
 * Sets a password. MySQL takes it out of its logs by itself. MariaDB does not, so it is given the digest that it would
 * keep anyway, unless the account signs in by another method or the server wants to see how strong the password is.
 */
async function setPassword(
  run: Run,
  { isMariadb }: ServerFacts,
  account: string,
  password: string,
  keepOld = false,
): Promise<void> {
  if (isMariadb && / IDENTIFIED BY PASSWORD '/.test(firstText(await run(`SHOW CREATE USER ${account}`)))) {
    try {
      await run(`ALTER USER ${account} IDENTIFIED BY PASSWORD '${nativeDigest(password)}'`);
      return;
    } catch (error) {
      // Both are what a server says that checks passwords; if it means something else, it says so again.
      if (!['ER_OPTION_PREVENTS_STATEMENT', 'ER_CANNOT_USER'].includes(codeOf(error) ?? '')) throw error;
    }
  }
  const retained = keepOld ? ' RETAIN CURRENT PASSWORD' : '';
  await run(`ALTER USER ${account} IDENTIFIED BY ${mysqlLiteral(password)}${retained}`);
}

function nativeDigest(password: string): string {
  const inner = createHash('sha1').update(password).digest();
  return `*${createHash('sha1').update(inner).digest('hex').toUpperCase()}`;
}

function textsOf(rows: unknown): string[] {
  if (!Array.isArray(rows)) return [];
  return rows.map((row: unknown) => String(Object.values(row as Record<string, unknown>)[0]));
}

function firstText(rows: unknown): string {
  return textsOf(rows)[0] ?? '';
}

function mysqlMeaning(code: string | undefined): ServerMeaning | undefined {
  if (code === undefined) return undefined;
  if (/^ER_(?:ACCESS_DENIED|ACCOUNT_HAS_BEEN_LOCKED|MUST_CHANGE_PASSWORD)/.test(code)) return 'refused';
  if (/^ER_(?:SPECIFIC_ACCESS_DENIED|DBACCESS_DENIED|TABLEACCESS_DENIED|COLUMNACCESS_DENIED|CANNOT_USER)/.test(code))
    return 'denied';
  if (/^(?:PROTOCOL_|ER_CON_COUNT|ER_SERVER_SHUTDOWN|ER_TOO_MANY_USER)/.test(code)) return 'down';
  return undefined;
}
