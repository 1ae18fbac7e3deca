import { createHash } from 'node:crypto';
import { coreError } from '@mnops/core';
import { functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { AppliedRotationContext, Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { assertAdmin, type Login, loginChange, loginOf, nextLogin } from './login.js';
import { type PasswordOptions, passwordMaker, passwordSchema } from './password.js';
import {
  type ClientEvents,
  type ConnectAs,
  otherSession,
  type ServerKind,
  type ServerMeaning,
  withLogin,
} from './session.js';

/** What is used of a client of `redis`. */
export interface RedisClientLike extends ClientEvents {
  sendCommand(command: string[]): Promise<unknown>;
  /** Ends the connection; `destroy` is taken where a client has it. */
  close(): unknown;
  destroy?(): unknown;
}

/** How the ACL users of a Redis server are rotated. */
export interface RedisAclUserOptions {
  /** Opens a connection as the user of a login: `redis`' `createClient({ username, password, socket: { reconnectStrategy: false } })` after `connect()`. */
  readonly connect: ConnectAs<RedisClientLike>;
  /** Path of the secret with the login that may run `ACL`, and `CONFIG REWRITE` where users are kept in the configuration file. */
  readonly admin: string;
  /** Whether each change is saved where the server keeps its users, so that a restart knows it. Default true. */
  readonly persist?: boolean | undefined;
  readonly password?: PasswordOptions | undefined;
}

const optionsSchema = v.strictObject({
  connect: functionSchema,
  admin: textSchema,
  persist: v.optional(v.boolean(), true),
  password: v.optional(passwordSchema),
});

/**
 * Rotates the password of a Redis ACL user; the secret is a JSON object with `user` (or `username`) and `password`.
 *
 * A user may have several passwords, so the old one and the new one work side by side until the grace ends: no login
 * fails, with one user. The server is given SHA-256 digests, which is what it keeps, and never a password. Each change is
 * saved by `ACL SAVE`, or by `CONFIG REWRITE` on a server without an ACL file; a server with neither forgets its users
 * anyway.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Steps reject with `MNOPS_SECRETS_VALUE_INVALID` for a secret of another
 * shape, `MNOPS_CORE_UNAUTHENTICATED` for a login that is refused, `MNOPS_CORE_ACCESS_DENIED` where the admin lacks a
 * right, `MNOPS_CORE_NOT_FOUND` for a user that does not exist, `MNOPS_CORE_CONFLICT` for one that needs no password, and
 * `MNOPS_CORE_UNAVAILABLE`.
 */
export function redisAclUser(options: RedisAclUserOptions): Rotator {
  const parsed = parseOptions('redisAclUser', optionsSchema, options);
  const makePassword = passwordMaker('redisAclUser.password', parsed.password);
  const kind: ServerKind<RedisClientLike> = {
    id: 'redis-acl-user',
    connect: options.connect,
    // A polite end would wait for answers of a server that may be gone.
    close: (client) => (client.destroy === undefined ? client.close() : client.destroy()),
    meaningOf: redisMeaning,
  };

  /** Gives the user one password and takes others away; saves only what changed something. */
  async function change(
    context: AppliedRotationContext,
    { give, take }: { readonly give?: Login | undefined; readonly take?: Login | undefined },
  ): Promise<void> {
    const { old, admin } = loginChange(context);
    await withLogin(kind, assertAdmin(kind.id, admin), { call: context.call }, async (client) => {
      const known = await passwordsOf(client, old.user);
      const rules: string[] = [];
      if (give !== undefined && !known.has(digest(give))) rules.push(`#${digest(give)}`);
      if (take !== undefined && known.has(digest(take))) rules.push(`!${digest(take)}`);
      if (rules.length > 0) await client.sendCommand(['ACL', 'SETUSER', old.user, ...rules]);
      // Also when nothing changed: the process that changed it may have ended before it saved.
      if (parsed.persist) await save(client);
    });
  }

  return {
    specVersion: 1,
    kind: 'rotator',
    id: kind.id,
    capabilities: { strategies: ['single-user'], overlap: true },
    admin: parsed.admin,
    async generate(context) {
      return nextLogin(context, makePassword(), Number.POSITIVE_INFINITY);
    },
    async apply(context) {
      await change(context, { give: loginOf(context.pending) });
    },
    async verify({ pending, call }) {
      const login = loginOf(pending);
      await withLogin(kind, login, { call }, async (client) => {
        const user = await client.sendCommand(['ACL', 'WHOAMI']).catch(mayNot);
        if (user !== undefined && String(user) !== login.user) throw otherSession(kind.id, login);
      });
    },
    async revoke(context) {
      await change(context, { give: loginOf(context.pending), take: loginOf(context.current) });
    },
    async discard(context) {
      await change(context, { give: loginOf(context.current), take: loginOf(context.pending) });
    },
  };
}

/** A user that was let in need not have the right to run a command. */
function mayNot(error: unknown): undefined {
  if (error instanceof Error && error.message.startsWith('NOPERM')) return undefined;
  throw error;
}

function digest({ password }: Login): string {
  return createHash('sha256').update(password).digest('hex');
}

/** Digests of the passwords of a user that exists and needs one. */
async function passwordsOf(client: RedisClientLike, user: string): Promise<ReadonlySet<string>> {
  const answer = await client.sendCommand(['ACL', 'GETUSER', user]);
  const details = { user };
  if (answer === null || answer === undefined) {
    throw coreError('MNOPS_CORE_NOT_FOUND', `redis-acl-user: there is no user ${user}.`, { details });
  }
  const facts = factsOf(answer);
  if (textsOf(facts.get('flags')).includes('nopass')) {
    throw coreError('MNOPS_CORE_CONFLICT', `redis-acl-user: the user ${user} is let in with any password.`, {
      remedy: 'Give it a password: ACL SETUSER <user> resetpass, then >password.',
      details,
    });
  }
  return new Set(textsOf(facts.get('passwords')));
}

/** An answer of names and values: a flat list in protocol 2, a map in protocol 3. */
function factsOf(answer: unknown): ReadonlyMap<string, unknown> {
  if (answer instanceof Map) return new Map([...answer].map(([name, value]) => [String(name), value]));
  if (!Array.isArray(answer)) return new Map(Object.entries(answer as Record<string, unknown>));
  const facts = new Map<string, unknown>();
  for (let at = 0; at + 1 < answer.length; at += 2) facts.set(String(answer[at]), answer[at + 1]);
  return facts;
}

function textsOf(list: unknown): string[] {
  return Array.isArray(list) || list instanceof Set ? [...list].map(String) : [];
}

async function save(client: RedisClientLike): Promise<void> {
  try {
    await client.sendCommand(['ACL', 'SAVE']);
  } catch (error) {
    if (!says(error, /not configured to use an ACL file/i)) throw error;
    await client.sendCommand(['CONFIG', 'REWRITE']).catch((refusal: unknown) => {
      if (!says(refusal, /running without a config file/i)) throw refusal;
    });
  }
}

function says(error: unknown, pattern: RegExp): boolean {
  return error instanceof Error && pattern.test(error.message);
}

function redisMeaning(_code: string | undefined, message: string): ServerMeaning | undefined {
  if (/^(?:WRONGPASS|NOAUTH|ERR invalid password)/i.test(message)) return 'refused';
  if (/^NOPERM/.test(message)) return 'denied';
  if (/^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN)/.test(message)) return 'down';
  return /^[A-Z]+ /.test(message) ? 'declined' : undefined;
}
