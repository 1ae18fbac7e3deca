import { createHash, randomBytes } from 'node:crypto';
import { coreError, MnopsError } from '@mnops/core';
import { configError, functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import { errorFromResponse, type HttpClient, type HttpResponse, httpClient, isHttpClient } from '@mnops/core/http';
import type { AppliedRotationContext, Call, Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { assertAdmin, type Login, loginChange, loginOf, nextLogin } from './login.js';
import { type PasswordOptions, passwordMaker, passwordSchema } from './password.js';
import { type ClientEvents, type ConnectAs, type ServerKind, withLogin } from './session.js';

/** What is used of a connection of `amqplib`. */
export interface AmqpConnectionLike extends ClientEvents {
  close(): Promise<unknown>;
}

/** How the users of a RabbitMQ broker are rotated. */
export interface RabbitmqUserOptions {
  /** Address of the management API: https, or http on loopback. */
  readonly managementUrl: string;
  /** Path of the secret with the login of a user tagged `administrator`. */
  readonly admin: string;
  /** Opens an AMQP connection as the user of a login: `connect({ username, password, … })` of `amqplib`. With it the new password is proved where it is used; without it, by the management API. */
  readonly connect?: ConnectAs<AmqpConnectionLike> | undefined;
  readonly password?: PasswordOptions | undefined;
  /** Ready client, for instance with a certificate authority of your own; it is not closed. */
  readonly client?: HttpClient | undefined;
}

const optionsSchema = v.strictObject({
  managementUrl: v.pipe(v.string(), v.url()),
  admin: textSchema,
  connect: v.optional(functionSchema),
  password: v.optional(passwordSchema),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
});

const id = 'rabbitmq-user';
/** What AMQP can carry. */
const maxNameBytes = 255;

/** One call of the management API; the answer's JSON, `undefined` for one without or for 404. */
type Ask = (method: 'GET' | 'PUT', path: readonly string[], json?: unknown) => Promise<unknown>;

/**
 * Rotates the password of a RabbitMQ user through the management API; the secret is a JSON object with `user` (or
 * `username`) and `password`.
 *
 * The broker is given salted SHA-256 digests, which is what it keeps, and never a new password. With `dual-user` the other
 * user of the pair takes over (`_clone` added to the name or taken off): it is created where it is absent, and given the
 * tags, permissions, topic permissions and limits of the old one; what the old one lost since stays with it. The old one's
 * password is replaced by a random one when the grace ends. Connections that are open go on.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Steps reject with `MNOPS_SECRETS_VALUE_INVALID` for a secret of another
 * shape, `MNOPS_CORE_UNAUTHENTICATED` for a login that is refused or an admin without the tag, `MNOPS_CORE_NOT_FOUND` for
 * a user that does not exist, and `MNOPS_CORE_UNAVAILABLE`.
 */
export function rabbitmqUser(options: RabbitmqUserOptions): Rotator {
  const parsed = parseOptions('rabbitmqUser', optionsSchema, options);
  const makePassword = passwordMaker('rabbitmqUser.password', parsed.password);
  const base = baseOf(parsed.managementUrl);
  const { connect } = options;
  const kind: ServerKind<AmqpConnectionLike> | undefined = connect && {
    id,
    connect,
    close: (connection) => connection.close(),
    meaningOf: (_, message) => (/ACCESS[_-]REFUSED|\b403\b/.test(message) ? 'refused' : 'down'),
  };

  async function withApi<T>(login: Login, call: Call, use: (send: Send) => Promise<T>): Promise<T> {
    const client = options.client ?? httpClient();
    const authorization = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
    try {
      return await use((method, path, json) => {
        const url = new URL(`${base}/api/${path.map(encodeURIComponent).join('/')}`);
        return client.request({ method, url, headers: { authorization }, json, signal: call.signal });
      });
    } finally {
      if (options.client === undefined) await client.close();
    }
  }

  /** Works as the admin. */
  async function change(
    { call }: AppliedRotationContext,
    admin: Login | undefined,
    steps: (ask: Ask) => Promise<void>,
  ): Promise<void> {
    await withApi(assertAdmin(id, admin), call, (send) =>
      steps(async (method, path, json) => {
        const response = await send(method, path, json);
        if (response.status === 404) return undefined;
        if (response.status < 200 || response.status > 299)
          throw errorFromResponse(response, { provider: id, operation: `${method} ${path[0]}` });
        return method === 'GET' ? response.json() : undefined;
      }),
    );
  }

  /** @throws {MnopsError} `MNOPS_CORE_UNAUTHENTICATED` when the broker does not let it in. */
  async function enter(login: Login, call: Call): Promise<void> {
    if (kind !== undefined) return await withLogin(kind, login, { call }, async () => undefined);
    await withApi(login, call, async (send) => {
      const response = await send('GET', ['whoami']);
      if (response.status === 200 || isKnownButNoManager(response)) return;
      throw errorFromResponse(response, { provider: id, operation: 'whoami' });
    });
  }

  async function isAccepted(login: Login, call: Call): Promise<boolean> {
    try {
      await enter(login, call);
      return true;
    } catch (error) {
      if (MnopsError.is(error, 'MNOPS_CORE_UNAUTHENTICATED')) return false;
      throw error;
    }
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
      const { old, next, admin, changesUser } = loginChange(context);
      await change(context, admin, async (ask) => {
        const tags = await tagsOf(ask, old.user);
        if (tags === undefined) throw noUser(old.user);
        if (changesUser) {
          // Locked by a password that nobody knows until it has its rights.
          if ((await tagsOf(ask, next.user)) === undefined) await setPassword(ask, next.user, makePassword(), tags);
          await copyRights(ask, old.user, next.user);
        }
        await setPassword(ask, next.user, next.password, tags);
      });
    },
    async verify({ pending, call }) {
      await enter(loginOf(pending), call);
    },
    async revoke(context) {
      const { old, admin, changesUser } = loginChange(context);
      // A single user's old password is gone since the new one was set.
      if (!changesUser) return;
      await change(context, admin, (ask) => lockOut(ask, old.user, makePassword()));
    },
    async discard(context) {
      const { old, next, admin, changesUser } = loginChange(context);
      const isApplied = await isAccepted(next, context.call);
      if (!isApplied && (changesUser || (await isAccepted(old, context.call)))) return;
      await change(context, admin, async (ask) => {
        if (changesUser) return await lockOut(ask, next.user, makePassword());
        await setPassword(ask, old.user, old.password, (await tagsOf(ask, old.user)) ?? '');
      });
    },
  };
}

type Send = (method: 'GET' | 'PUT', path: readonly string[], json?: unknown) => Promise<HttpResponse>;

/** The management API lets in whom it manages; whom it knows without a tag it refuses after the password was right. */
function isKnownButNoManager(response: HttpResponse): boolean {
  if (response.status !== 401) return false;
  try {
    const { reason } = response.json<{ readonly reason?: unknown }>();
    return typeof reason === 'string' && /not management user/i.test(reason);
  } catch {
    return false;
  }
}

/** Tags of a user with commas between; `undefined` when there is no such user. */
async function tagsOf(ask: Ask, user: string): Promise<string | undefined> {
  const found = (await ask('GET', ['users', user])) as { readonly tags?: unknown } | undefined;
  if (found === undefined) return undefined;
  const { tags } = found;
  return Array.isArray(tags) ? tags.join(',') : typeof tags === 'string' ? tags : '';
}

async function setPassword(ask: Ask, user: string, password: string, tags: string): Promise<void> {
  const salt = randomBytes(4);
  const digest = createHash('sha256').update(salt).update(password).digest();
  await ask('PUT', ['users', user], {
    password_hash: Buffer.concat([salt, digest]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
    tags,
  });
}

/** Nobody knows the new password. A user that is not there need not be locked out. */
async function lockOut(ask: Ask, user: string, password: string): Promise<void> {
  const tags = await tagsOf(ask, user);
  if (tags !== undefined) await setPassword(ask, user, password, tags);
}

async function copyRights(ask: Ask, from: string, to: string): Promise<void> {
  for (const { vhost, configure, write, read } of rowsOf(await ask('GET', ['users', from, 'permissions'])))
    await ask('PUT', ['permissions', String(vhost), to], { configure, write, read });
  for (const { vhost, exchange, write, read } of rowsOf(await ask('GET', ['users', from, 'topic-permissions'])))
    await ask('PUT', ['topic-permissions', String(vhost), to], { exchange, write, read });
  for (const { value: limits } of rowsOf(await ask('GET', ['user-limits', from]))) {
    for (const [name, value] of Object.entries((limits ?? {}) as Record<string, unknown>))
      await ask('PUT', ['user-limits', to, name], { value });
  }
}

function rowsOf(answer: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(answer) ? (answer as readonly Readonly<Record<string, unknown>>[]) : [];
}

function baseOf(address: string): string {
  const url = new URL(address);
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.username === '' && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)))
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  throw configError('rabbitmqUser', [
    {
      field: 'managementUrl',
      expected: 'an https address without a user, or http on loopback',
      received: url.protocol,
      remedy: 'The password of the admin would be sent in clear: use https.',
    },
  ]);
}

function noUser(user: string): Error {
  return coreError('MNOPS_CORE_NOT_FOUND', `${id}: there is no user ${user}.`, { provider: id, details: { user } });
}
