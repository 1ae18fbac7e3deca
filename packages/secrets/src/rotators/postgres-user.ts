import { coreError } from '@mnops/core';
import { functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { AppliedRotationContext, Call, Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { type Login, type LoginChange, loginChange, loginOf, nextLogin } from './login.js';
import { type PasswordOptions, passwordMaker, passwordSchema } from './password.js';
import { scramVerifier } from './scram.js';
import {
  type ClientEvents,
  type ConnectAs,
  isAccepted,
  otherSession,
  type ServerKind,
  type ServerMeaning,
  withLogin,
} from './session.js';

/** What is used of a client of `pg`. */
export interface PostgresClientLike extends ClientEvents {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  end(): Promise<unknown>;
}

/** How the users of a PostgreSQL server are rotated. */
export interface PostgresUserOptions {
  /** Opens a connection as the user of a login: `pg`'s `new Client({ user, password, … })` after `connect()`. */
  readonly connect: ConnectAs<PostgresClientLike>;
  /** Path of the secret with the login that may change roles: a superuser, or one with `CREATEROLE`. Default: the user changes its own password, and only `single-user` is possible. */
  readonly admin?: string | undefined;
  readonly password?: PasswordOptions | undefined;
}

const optionsSchema = v.strictObject({
  connect: functionSchema,
  admin: v.optional(textSchema),
  password: v.optional(passwordSchema),
});

/** Longer names are cut by the server. */
const maxNameBytes = 63;

/**
 * Rotates the password of a PostgreSQL role; the secret is a JSON object with `user` (or `username`) and `password`.
 *
 * The server gets a SCRAM-SHA-256 verifier and never sees a password. With `dual-user` the other role of the pair takes
 * over (`_clone` added to the name or taken off). Where it is absent it is created as a member of the first, with the
 * settings of the first and acting as it, so that what either makes belongs to both; the old one's password is replaced by
 * a random one when the grace ends. Connections that are open go on.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Steps reject with `MNOPS_SECRETS_VALUE_INVALID` for a secret of another
 * shape, `MNOPS_CORE_UNAUTHENTICATED` for a login that is refused, `MNOPS_CORE_ACCESS_DENIED` where the admin lacks a
 * right, `MNOPS_CORE_NOT_FOUND` for a role that does not exist, and `MNOPS_CORE_UNAVAILABLE`.
 */
export function postgresUser(options: PostgresUserOptions): Rotator {
  const parsed = parseOptions('postgresUser', optionsSchema, options);
  const makePassword = passwordMaker('postgresUser.password', parsed.password);
  const kind: ServerKind<PostgresClientLike> = {
    id: 'postgres-user',
    connect: options.connect,
    close: (client) => client.end(),
    meaningOf: postgresMeaning,
  };

  /** Runs statements in one transaction, as the admin or as the user itself. */
  async function change(
    { call, previous }: AppliedRotationContext,
    { old, next, admin }: LoginChange,
    statements: (client: PostgresClientLike) => Promise<void>,
  ): Promise<void> {
    const secrets = [old.password, next.password];
    const inTransaction = async (client: PostgresClientLike): Promise<void> => {
      await client.query('BEGIN');
      await statements(client);
      await client.query('COMMIT');
    };
    if (admin !== undefined) return await withLogin(kind, admin, { call, secrets }, inTransaction);
    // Without an admin: whichever password the last step that was cut off has left.
    const own = [next, old, ...(previous === undefined ? [] : [loginOf(previous)])].filter(
      ({ user }) => user === old.user,
    );
    const login = await firstAccepted(kind, own, call);
    await withLogin(kind, login, { call, secrets }, inTransaction);
  }

  return {
    specVersion: 1,
    kind: 'rotator',
    id: kind.id,
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
      await change(context, step, async (client) => {
        if (step.changesUser) await prepareOther(client, step);
        await setPassword(client, step.next.user, step.next.password);
      });
    },
    async verify({ pending, call }) {
      const login = loginOf(pending);
      await withLogin(kind, login, { call }, async (client) => {
        if (!(await isSessionOf(client, login))) throw otherSession(kind.id, login);
      });
    },
    async revoke(context) {
      const step = loginChange(context);
      // A single user's old password is gone since the new one was set.
      if (!step.changesUser) return;
      await change(context, step, (client) => lockOut(client, step.old.user, makePassword()));
    },
    async discard(context) {
      const step = loginChange(context);
      // One user has one password: while the old one works, there is nothing to undo.
      if (!step.changesUser && (await isAccepted(kind, step.old, context.call, isSessionOf))) return;
      await change(context, step, async (client) => {
        if (step.changesUser) await lockOut(client, step.next.user, makePassword());
        else await setPassword(client, step.old.user, step.old.password);
      });
    },
  };
}

/** The first login that the server lets in. */
async function firstAccepted(
  kind: ServerKind<PostgresClientLike>,
  logins: readonly Login[],
  call: Call,
): Promise<Login> {
  for (const login of logins) if (await isAccepted(kind, login, call, isSessionOf)) return login;
  throw coreError('MNOPS_CORE_UNAUTHENTICATED', `${kind.id}: no password that is known for this user is accepted.`, {
    provider: kind.id,
    remedy: 'Set its password to the current value by hand, or give an admin.',
  });
}

async function setPassword(client: PostgresClientLike, user: string, password: string): Promise<void> {
  await client.query(`ALTER ROLE ${identifier(user)} PASSWORD ${literal(scramVerifier(password))}`);
}

/** Nobody knows the new password. A role that is not there need not be locked out. */
async function lockOut(client: PostgresClientLike, user: string, password: string): Promise<void> {
  if ((await rolesAmong(client, [user])).has(user)) await setPassword(client, user, password);
}

/** Creates the other role of the pair where it is absent. The password follows in the same transaction. */
async function prepareOther(client: PostgresClientLike, { old, next }: LoginChange): Promise<void> {
  const roles = await rolesAmong(client, [old.user, next.user]);
  const limit = roles.get(old.user);
  if (limit === undefined) {
    throw coreError('MNOPS_CORE_NOT_FOUND', `postgres-user: there is no role ${old.user}.`, {
      provider: 'postgres-user',
      details: { user: old.user },
    });
  }
  if (roles.has(next.user)) return;
  const [first, other] = [identifier(old.user), identifier(next.user)];
  await client.query(`CREATE ROLE ${other} LOGIN CONNECTION LIMIT ${limit}`);
  await client.query(`GRANT ${first} TO ${other}`);
  await copySettings(client, old.user, next.user);
  // What it creates belongs to the first, which can then use it at its next turn.
  await client.query(`ALTER ROLE ${other} SET role TO ${first}`);
}

/**
 * Copies the settings of a role one by one: as values of this transaction, because only the server can read its lists
 * (`search_path`) as it wrote them.
 */
async function copySettings(client: PostgresClientLike, from: string, to: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT d.datname::text AS database, setting
       FROM pg_catalog.pg_db_role_setting s
       JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
       LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
      CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS setting
      WHERE r.rolname = $1`,
    [from],
  );
  for (const { database, setting } of rows as readonly {
    readonly database: string | null;
    readonly setting: string;
  }[]) {
    const at = setting.indexOf('=');
    const name = setting.slice(0, at);
    if (name === 'role') continue;
    const where = database === null ? '' : ` IN DATABASE ${identifier(database)}`;
    await client.query('SELECT pg_catalog.set_config($1, $2, true)', [name, setting.slice(at + 1)]);
    await client.query(`ALTER ROLE ${identifier(to)}${where} SET ${parameter(name)} FROM CURRENT`);
  }
}

/** Connection limits of those roles that exist. */
async function rolesAmong(client: PostgresClientLike, users: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await client.query(
    'SELECT rolname::text AS name, rolconnlimit AS "limit" FROM pg_catalog.pg_roles WHERE rolname = ANY($1)',
    [users],
  );
  const roles = rows as readonly { readonly name: string; readonly limit: number }[];
  return new Map(roles.map(({ name, limit }) => [name, Number(limit)]));
}

async function isSessionOf(client: PostgresClientLike, { user }: Login): Promise<boolean> {
  const { rows } = await client.query('SELECT session_user::text AS "user"');
  return (rows[0] as { readonly user?: unknown } | undefined)?.user === user;
}

function postgresMeaning(code: string | undefined, message: string): ServerMeaning | undefined {
  if (code === '28P01' || code === '28000') return 'refused';
  if (code === '42501') return 'denied';
  // Starting, stopping, out of connections, connection lost.
  if (code !== undefined && /^(?:57P0[123]|53300|08...)$/.test(code)) return 'down';
  // What the client itself throws has no code.
  if (code === undefined && /SASL|password must be a string/i.test(message)) return 'refused';
  return undefined;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A setting's name; one of an extension has a dot between two identifiers. */
function parameter(name: string): string {
  return name.split('.').map(identifier).join('.');
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
