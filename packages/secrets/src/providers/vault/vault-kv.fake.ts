import type { JsonValue } from '@mnops/core/spi';
import type { ScriptedReply } from '@mnops/core/testing';

interface FakeVersion {
  readonly data: Readonly<Record<string, JsonValue>>;
  readonly created: string;
  deleted: string;
  destroyed: boolean;
}

interface FakeSecret {
  readonly versions: Map<number, FakeVersion>;
  latest: number;
  custom: Record<string, string>;
  readonly created: string;
  updated: string;
}

/** The secrets of a KV engine, version 2, as it answers to HTTP. */
export interface FakeKv {
  readonly secrets: Map<string, FakeSecret>;
  reply(
    method: string,
    part: string,
    path: string,
    query: URLSearchParams,
    body: Readonly<Record<string, unknown>>,
  ): ScriptedReply;
}

const maxVersions = 10;
const absent: ScriptedReply = { status: 404, body: { errors: [] } };

/** Makes an empty engine. */
export function fakeKv(): FakeKv {
  const secrets = new Map<string, FakeSecret>();
  const reply: FakeKv['reply'] = (method, part, path, query, body) => {
    if (part === 'metadata' && query.get('list') === 'true') return list(secrets, path);
    const secret = secrets.get(path);
    if (part === 'data' && method === 'GET') return readData(secret, query);
    if (part === 'data' && method === 'POST') return writeData(secrets, path, body);
    if (part === 'metadata' && method === 'GET')
      return secret === undefined ? absent : { body: { data: shown(secret) } };
    if (part === 'metadata' && (method === 'POST' || method === 'PATCH')) return annotate(secrets, method, path, body);
    if (part === 'delete' || part === 'undelete' || part === 'destroy') return change(secret, part, body);
    return absent;
  };
  return { secrets, reply };
}

/** The secrets of a KV engine, version 1. */
export interface FakePlainKv {
  readonly secrets: Map<string, Readonly<Record<string, JsonValue>>>;
  reply(method: string, path: string, query: URLSearchParams, body: Readonly<Record<string, unknown>>): ScriptedReply;
}

/** Makes an empty engine, version 1. */
export function fakePlainKv(): FakePlainKv {
  const secrets: FakePlainKv['secrets'] = new Map();
  const reply: FakePlainKv['reply'] = (method, path, query, body) => {
    if (query.get('list') === 'true') return list(secrets, path);
    const data = secrets.get(path);
    if (method === 'GET') return data === undefined ? absent : { body: { lease_duration: 2_764_800, data } };
    if (method === 'DELETE') secrets.delete(path);
    else if (Object.keys(body).length === 0) return { status: 400, body: { errors: ['missing data fields'] } };
    else secrets.set(path, body as Readonly<Record<string, JsonValue>>);
    return { status: 204 };
  };
  return { secrets, reply };
}

function list(secrets: ReadonlyMap<string, unknown>, folder: string): ScriptedReply {
  const names = new Set<string>();
  for (const path of secrets.keys()) {
    if (!path.startsWith(folder)) continue;
    const rest = path.slice(folder.length);
    const slash = rest.indexOf('/');
    names.add(slash < 0 ? rest : rest.slice(0, slash + 1));
  }
  return names.size === 0 ? absent : { body: { data: { keys: [...names].sort() } } };
}

function metadataOf(version: FakeVersion): { [name: string]: JsonValue } {
  return { created_time: version.created, deletion_time: version.deleted, destroyed: version.destroyed };
}

function readData(secret: FakeSecret | undefined, query: URLSearchParams): ScriptedReply {
  const number = Number(query.get('version') ?? 0) || (secret?.latest ?? 0);
  const version = secret?.versions.get(number);
  if (secret === undefined || version === undefined) return absent;
  const gone = version.destroyed || (version.deleted !== '' && Date.parse(version.deleted) <= Date.now());
  const custom = Object.keys(secret.custom).length === 0 ? null : secret.custom;
  const metadata = { ...metadataOf(version), version: number, custom_metadata: custom };
  return { status: gone ? 404 : 200, body: { data: { data: gone ? null : version.data, metadata } } };
}

function newSecret(): FakeSecret {
  const now = new Date().toISOString();
  return { versions: new Map(), latest: 0, custom: {}, created: now, updated: now };
}

function writeData(
  secrets: Map<string, FakeSecret>,
  path: string,
  body: Readonly<Record<string, unknown>>,
): ScriptedReply {
  const secret = secrets.get(path) ?? newSecret();
  const cas = (body['options'] as { readonly cas?: number } | undefined)?.cas;
  if (cas !== undefined && cas !== secret.latest) {
    return { status: 400, body: { errors: ['check-and-set parameter did not match the current version'] } };
  }
  secrets.set(path, secret);
  secret.latest += 1;
  const created = new Date().toISOString();
  const data = body['data'] as Readonly<Record<string, JsonValue>>;
  const version: FakeVersion = { data, created, deleted: '', destroyed: false };
  secret.versions.set(secret.latest, version);
  secret.versions.delete(secret.latest - maxVersions);
  secret.updated = created;
  return { body: { data: { ...metadataOf(version), version: secret.latest } } };
}

function shown(secret: FakeSecret): { readonly [name: string]: JsonValue } {
  const versions: Record<string, JsonValue> = {};
  for (const [number, version] of secret.versions) versions[number] = metadataOf(version);
  return {
    versions,
    current_version: secret.latest,
    created_time: secret.created,
    updated_time: secret.updated,
    custom_metadata: Object.keys(secret.custom).length === 0 ? null : secret.custom,
  };
}

function annotate(
  secrets: Map<string, FakeSecret>,
  method: string,
  path: string,
  body: Readonly<Record<string, unknown>>,
): ScriptedReply {
  const known = secrets.get(path);
  if (known === undefined && method === 'PATCH') return absent;
  const given = Object.entries(body['custom_metadata'] as Readonly<Record<string, string | null>>);
  const wrong = given.some(
    ([name, text]) => name === '' || name.length > 128 || text === '' || (text ?? '').length > 512,
  );
  if (wrong) return { status: 400, body: { errors: ['custom_metadata validation failed'] } };
  const secret = known ?? newSecret();
  secrets.set(path, secret);
  if (method === 'POST') secret.custom = {};
  for (const [name, text] of given) {
    if (text === null) delete secret.custom[name];
    else secret.custom[name] = text;
  }
  return { status: 204 };
}

function change(
  secret: FakeSecret | undefined,
  action: 'delete' | 'undelete' | 'destroy',
  body: Readonly<Record<string, unknown>>,
): ScriptedReply {
  for (const number of body['versions'] as readonly number[]) {
    const version = secret?.versions.get(number);
    if (version === undefined || version.destroyed) continue;
    if (action === 'destroy') version.destroyed = true;
    else version.deleted = action === 'delete' ? new Date().toISOString() : '';
  }
  return { status: 204 };
}
