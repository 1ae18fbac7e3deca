import { randomBytes } from 'node:crypto';
import { type HttpClient, httpClient } from '@mnops/core/http';
import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';
import type { TokenCredentialLike } from './vault-request.js';

type Json = Readonly<Record<string, unknown>>;

interface FakeVersion {
  readonly id: string;
  readonly value: string;
  readonly contentType: string | undefined;
  tags: Readonly<Record<string, string>>;
  attributes: Record<string, unknown>;
}

interface FakeSecret {
  readonly name: string;
  readonly versions: FakeVersion[];
  deletedDate?: number | undefined;
}

/** Key Vault's REST API for secrets in this process: challenges, versions, pages, soft delete, recovery, purge. */
export interface AzureFake extends FaultServer {
  /** Address by which the vault is known; `client` leads there. */
  readonly vaultUrl: string;
  /** Sends what is meant for `vaultUrl` to the fake. */
  readonly client: HttpClient;
  readonly credential: TokenCredentialLike;
  readonly token: string;
  /** Secrets by lower-case name, deleted ones apart. */
  readonly secrets: Map<string, FakeSecret>;
  readonly deleted: Map<string, FakeSecret>;
  /** Resource in the challenge. */
  resource: string;
}

/** How the fake answers. */
export interface AzureFakeOptions {
  /** Items of a page. Default 25. */
  readonly pageSize?: number | undefined;
  /** Questions about a deletion that are answered with 404 before it is done. Default 0. */
  readonly deletionLag?: number | undefined;
}

/** Starts the fake. */
export async function azureFake(options: AzureFakeOptions = {}): Promise<AzureFake> {
  const { pageSize = 25, deletionLag = 0 } = options;
  const server = await faultServer();
  const token = 'azure-fake-token';
  const inner = httpClient();
  const host = 'fake.vault.azure.net';
  const credential: TokenCredentialLike = {
    getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }),
  };
  const request = (input: { url: string | URL; headers?: object }): unknown => {
    const { pathname, search } = new URL(input.url);
    const headers = { ...input.headers, host, 'x-forwarded-proto': 'https' };
    return inner.request({ ...input, url: `${server.url}${pathname}${search}`, headers } as never);
  };
  const client = { request, close: () => inner.close() } as HttpClient;
  const state = {
    secrets: new Map<string, FakeSecret>(),
    deleted: new Map<string, FakeSecret>(),
    lag: new Map<string, number>(),
  };
  const fake: AzureFake = {
    ...server,
    ...state,
    vaultUrl: `https://${host}`,
    client,
    credential,
    token,
    resource: 'https://vault.azure.net',
    close: async () => {
      await inner.close();
      await server.close();
    },
  };
  server.handler((incoming) => {
    if (incoming.headers['authorization'] !== `Bearer ${token}`) {
      const challenge = `Bearer authorization="https://login.microsoftonline.com/tenant-1", resource="${fake.resource}"`;
      return {
        ...refused(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.'),
        headers: { 'www-authenticate': challenge },
      };
    }
    const origin = `${incoming.headers['x-forwarded-proto'] ?? 'http'}://${incoming.headers['host']}`;
    const url = new URL(incoming.url, origin);
    if (!url.searchParams.has('api-version')) return refused(400, 'BadParameter', 'api-version was not specified.');
    const [, kind = '', name, part] = url.pathname.split('/');
    if (kind === 'secrets') return live({ fake, lag: state.lag, deletionLag, pageSize }, incoming, url, name, part);
    if (kind === 'deletedsecrets')
      return gone({ fake, lag: state.lag, deletionLag, pageSize }, incoming, url, name, part);
    return refused(404, 'NotFound', 'No such resource.');
  });
  return fake;
}

interface Context {
  readonly fake: AzureFake;
  readonly lag: Map<string, number>;
  readonly deletionLag: number;
  readonly pageSize: number;
}

function live(
  context: Context,
  request: RecordedRequest,
  url: URL,
  name: string | undefined,
  part: string | undefined,
): ScriptedReply {
  const { fake, pageSize } = context;
  const newestOf = (secret: FakeSecret): Json => item(url.origin, secret, undefined);
  if (name === undefined || name === '') return page(url, [...fake.secrets.values()].map(newestOf), pageSize);
  if (!/^[0-9A-Za-z-]{1,127}$/.test(name))
    return refused(400, 'BadParameter', 'The request URI contains an invalid name.');
  const key = name.toLowerCase();
  const secret = fake.secrets.get(key);
  if (request.method === 'PUT') return set(context, request, url, name);
  if (part === 'versions') {
    return page(
      url,
      (secret?.versions ?? []).map((version) => item(url.origin, secret as FakeSecret, version)),
      pageSize,
    );
  }
  const version =
    part === undefined || part === '' ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === part);
  if (secret === undefined || version === undefined)
    return refused(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`);
  if (request.method === 'GET') {
    if (version.attributes['enabled'] === false)
      return refused(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
    return json({ ...item(url.origin, secret, version), value: version.value });
  }
  if (request.method === 'PATCH') {
    const { attributes = {}, tags } = JSON.parse(request.text()) as {
      attributes?: Json;
      tags?: Record<string, string>;
    };
    // An expiry is moved, never taken away.
    const given = Object.entries(attributes).filter(([, value]) => value !== null);
    version.attributes = { ...version.attributes, ...Object.fromEntries(given), updated: seconds() };
    if (tags !== undefined) version.tags = tags;
    return json(item(url.origin, secret, version));
  }
  fake.secrets.delete(key);
  fake.deleted.set(key, { ...secret, deletedDate: seconds() });
  context.lag.set(key, context.deletionLag);
  return json(deletedItem(url.origin, fake.deleted.get(key) as FakeSecret));
}

function set({ fake }: Context, request: RecordedRequest, url: URL, name: string): ScriptedReply {
  const key = name.toLowerCase();
  if (fake.deleted.has(key)) {
    const text = `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused.`;
    return refused(409, 'Conflict', text, 'ObjectIsDeletedButRecoverable');
  }
  const body = JSON.parse(request.text() || '{}') as {
    value?: string;
    contentType?: string;
    tags?: Record<string, string>;
    attributes?: Json;
  };
  if (typeof body.value !== 'string') return refused(400, 'BadParameter', 'Property value is required.');
  if (body.value.length > 25_600 || Object.keys(body.tags ?? {}).length > 15)
    return refused(400, 'BadParameter', 'The value or the tags are too large.');
  const now = seconds();
  const attributes = {
    enabled: true,
    ...body.attributes,
    created: now,
    updated: now,
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: 90,
  };
  const version = {
    id: randomBytes(16).toString('hex'),
    value: body.value,
    contentType: body.contentType,
    tags: body.tags ?? {},
    attributes,
  };
  const secret = fake.secrets.get(key) ?? { name, versions: [] };
  secret.versions.push(version);
  fake.secrets.set(key, secret);
  return json({ ...item(url.origin, secret, version), value: version.value });
}

function gone(
  context: Context,
  request: RecordedRequest,
  url: URL,
  name: string | undefined,
  part: string | undefined,
): ScriptedReply {
  const { fake, lag, pageSize } = context;
  if (name === undefined || name === '')
    return page(
      url,
      [...fake.deleted.values()].map((secret) => deletedItem(url.origin, secret)),
      pageSize,
    );
  const key = name.toLowerCase();
  const secret = fake.deleted.get(key);
  const left = lag.get(key) ?? 0;
  if (secret === undefined || left > 0) {
    lag.set(key, left - 1);
    return refused(404, 'SecretNotFound', `Deleted Secret not found: ${name}.`);
  }
  if (request.method === 'GET') return json(deletedItem(url.origin, secret));
  fake.deleted.delete(key);
  if (request.method === 'DELETE') return { status: 204 };
  if (part !== 'recover') return refused(400, 'BadParameter', 'No such action.');
  fake.secrets.set(key, { name: secret.name, versions: secret.versions });
  return json(item(url.origin, secret, secret.versions.at(-1)));
}

function item(origin: string, secret: FakeSecret, version: FakeVersion | undefined): Json {
  const shown = version ?? secret.versions.at(-1);
  const id = `${origin}/secrets/${secret.name}${version === undefined ? '' : `/${version.id}`}`;
  return { id, contentType: shown?.contentType, attributes: shown?.attributes, tags: shown?.tags };
}

function deletedItem(origin: string, secret: FakeSecret): Json {
  const { deletedDate = 0 } = secret;
  const recoveryId = `${origin}/deletedsecrets/${secret.name}`;
  return {
    ...item(origin, secret, secret.versions.at(-1)),
    recoveryId,
    deletedDate,
    scheduledPurgeDate: deletedDate + 7_776_000,
  };
}

function page(url: URL, items: readonly Json[], pageSize: number): ScriptedReply {
  const start = Number(url.searchParams.get('$skiptoken') ?? 0);
  const end = start + pageSize;
  const next = new URL(url);
  next.searchParams.set('$skiptoken', String(end));
  return json({ value: items.slice(start, end), nextLink: end < items.length ? next.href : null });
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}

function json(body: Json): ScriptedReply {
  return { headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) };
}

function refused(status: number, code: string, message: string, inner?: string): ScriptedReply {
  return {
    ...json({ error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) } }),
    status,
  };
}
