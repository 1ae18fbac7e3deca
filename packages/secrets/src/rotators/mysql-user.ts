import { coreError } from '@mnops/core';
import { functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { AppliedRotationContext, Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { type Login, type LoginChange, loginChange, loginOf, nextLogin } from './login.js';
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
  /** Path of the secret with the login that may create users, change them and give their rights. Default: the user changes its own password, and only `single-user` is possible. */
  readonly admin?: string | undefined;
  /** Host part of the accounts. Default `%`. */
  readonly accountHost?: string | undefined;
  readonly password?: PasswordOptions | undefined;
}

const optionsSchema = v.strictObject({
  connect: functionSchema,
  admin: v.optional(textSchema),
  accountHost: v.optional(textSchema, '%'),
  password: v.optional(passwordSchema),
});

/** What MariaDB takes; MySQL takes 32 and refuses more by itself. */
const maxNameBytes = 80;
const id = 'mysql-user';

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

  /** Works as the admin, or as the user itself with the first password that is accepted. */
  async function change(
    { call, previous }: AppliedRotationContext,
    { old, next, admin }: LoginChange,
    random: string,
    statements: (run: (sql: string) => Promise<unknown>, keepsTwo: boolean) => Promise<void>,
  ): Promise<void> {
    const secrets = [old.password, next.password, random];
    const own = [next, old, ...(previous === undefined ? [] : [loginOf(previous)])].filter(
      ({ user }) => user === old.user,
    );
    let login = admin;
    for (const each of admin === undefined ? own : []) {
      if (login === undefined && (await isAccepted(kind, each, call, isSessionOf))) login = each;
    }
    if (login === undefined) throw noneAccepted();
    await withLogin(kind, login, { call, secrets }, async (client) => {
      const run = async (sql: string): Promise<unknown> => (await client.query(sql))[0];
      // Literals mean the same in every mode of the server from here on.
      await run("SET SESSION sql_mode = ''");
      await statements(run, keepsTwoPasswords(firstText(await run('SELECT VERSION()'))));
    });
  }

  return {
    specVersion: 1,
    kind: 'rotator',
    id,
    capabilities: {
      strategies: parsed.admin === undefined ? ['single-user'] : ['single-user', 'dual-user'],
      overlap: false,
    },
    ...(parsed.admin === undefined ? {} : { admin: parsed.admin }),
    async generate(context) {
      return nextLogin(context, makePassword(), maxNameBytes);
    },
    async apply(context) {
      const step = loginChange(context);
      const { old, next } = step;
      // A second change would push the old password out of the place where the first one put it.
      if (await isAccepted(kind, next, context.call, isSessionOf)) return;
      await change(context, step, '', async (run, keepsTwo) => {
        const identified = `IDENTIFIED BY ${mysqlLiteral(next.password)}`;
        if (!step.changesUser) {
          await run(`ALTER USER ${accountOf(old.user)} ${identified}${keepsTwo ? ' RETAIN CURRENT PASSWORD' : ''}`);
          return;
        }
        const [from, to] = [accountOf(old.user), accountOf(next.user)];
        const grants = grantsFor(textsOf(await run(`SHOW GRANTS FOR ${from}`)), { ...step, accountHost });
        const requirement = requirementOf(firstText(await run(`SHOW CREATE USER ${from}`)));
        // Locked by a password that nobody knows until it has its rights.
        await run(`CREATE USER IF NOT EXISTS ${to} IDENTIFIED BY ${mysqlLiteral(makePassword())}${requirement}`);
        for (const grant of grants) await run(grant);
        await run(`ALTER USER ${to} ${identified}`);
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
      await change(context, step, random, async (run, keepsTwo) => {
        if (changesUser) await run(`ALTER USER IF EXISTS ${accountOf(old.user)} IDENTIFIED BY ${mysqlLiteral(random)}`);
        if (keepsTwo) await run(`ALTER USER IF EXISTS ${accountOf(old.user)} DISCARD OLD PASSWORD`);
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
      await change(context, step, random, async (run, keepsTwo) => {
        await run(`ALTER USER IF EXISTS ${account} IDENTIFIED BY ${mysqlLiteral(password)}`);
        if (keepsTwo) await run(`ALTER USER IF EXISTS ${account} DISCARD OLD PASSWORD`);
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
function keepsTwoPasswords(version: string): boolean {
  if (/mariadb/i.test(version)) return false;
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return major > 8 || (major === 8 && (minor > 0 || patch >= 14));
}

function textsOf(rows: unknown): string[] {
  if (!Array.isArray(rows)) return [];
  return rows.map((row: unknown) => String(Object.values(row as Record<string, unknown>)[0]));
}

function firstText(rows: unknown): string {
  return textsOf(rows)[0] ?? '';
}

function noneAccepted(): Error {
  return coreError('MNOPS_CORE_UNAUTHENTICATED', `${id}: no password that is known for this user is accepted.`, {
    provider: id,
    remedy: 'Set its password to the current value by hand, or give an admin.',
  });
}

function mysqlMeaning(code: string | undefined): ServerMeaning | undefined {
  if (code === undefined) return undefined;
  if (/^ER_(?:ACCESS_DENIED|ACCOUNT_HAS_BEEN_LOCKED|MUST_CHANGE_PASSWORD)/.test(code)) return 'refused';
  if (/^ER_(?:SPECIFIC_ACCESS_DENIED|DBACCESS_DENIED|TABLEACCESS_DENIED|COLUMNACCESS_DENIED|CANNOT_USER)/.test(code))
    return 'denied';
  if (/^(?:PROTOCOL_|ER_CON_COUNT|ER_SERVER_SHUTDOWN|ER_TOO_MANY_USER)/.test(code)) return 'down';
  return undefined;
}
