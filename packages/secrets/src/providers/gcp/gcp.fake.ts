import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '@mnops/core/testing';
import { crc32c } from './crc32c.js';

interface FakeVersion {
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
  data: Buffer;
  readonly createTime: string;
  readonly hadChecksum: boolean;
}

interface FakeSecret {
  readonly name: string;
  readonly createTime: string;
  readonly replication: unknown;
  readonly versions: FakeVersion[];
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  versionAliases: Readonly<Record<string, string>>;
  revision: number;
}

/** Secret Manager's REST API in this process: etags, aliases, checksums, states, pages, filters. */
export interface GcpFake extends FaultServer {
  readonly project: string;
  readonly accessToken: string;
  /** Secrets by their whole name. */
  readonly secrets: Map<string, FakeSecret>;
}

/** How the fake answers. */
export interface GcpFakeOptions {
  /** Most items of a page, whatever the client asks for. Default 250. */
  readonly pageSize?: number | undefined;
}

type Answer = ScriptedReply;
type Json = Readonly<Record<string, unknown>>;

const codes: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
};

/** Starts the fake. It takes one project and one access token. */
export async function gcpFake(options: GcpFakeOptions = {}): Promise<GcpFake> {
  const { pageSize = 250 } = options;
  const server = await faultServer();
  const fake: GcpFake = { ...server, project: 'test-project', accessToken: 'ya29.fake-token', secrets: new Map() };
  server.handler((request) => {
    if (request.headers['authorization'] !== `Bearer ${fake.accessToken}`)
      return refused('UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    const url = new URL(request.url, 'http://fake');
    const match = /^\/v1\/(projects\/[^/]+(?:\/locations\/[^/]+)?)\/secrets(?:\/([^/:]+))?(.*)$/.exec(
      decodeURIComponent(url.pathname),
    );
    const [, parent = '', id, rest = ''] = match ?? [];
    if (match === null || parent.split('/')[1] !== fake.project) return refused('NOT_FOUND', 'Not found.');
    if (id === undefined) return collection(fake, parent, request, url.searchParams, pageSize);
    const name = `${parent}/secrets/${id}`;
    const secret = fake.secrets.get(name);
    if (secret === undefined) return refused('NOT_FOUND', `Secret [${name}] not found or has no versions.`);
    if (rest === '' || rest === ':addVersion') return secretAnswer(fake, secret, request, url.searchParams, rest);
    return versionsAnswer(secret, url.searchParams, rest, pageSize);
  });
  return fake;
}

function collection(
  fake: GcpFake,
  parent: string,
  request: RecordedRequest,
  query: URLSearchParams,
  pageSize: number,
): Answer {
  if (request.method === 'GET') {
    const part = /^name:(\S+)$/.exec(query.get('filter') ?? '')?.[1] ?? '';
    const own = [...fake.secrets.values()].filter(
      ({ name }) => name.startsWith(`${parent}/secrets/`) && name.includes(part),
    );
    return page(own.reverse().map(shown), 'secrets', query, pageSize);
  }
  const id = query.get('secretId') ?? '';
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) return refused('INVALID_ARGUMENT', 'The provided Secret ID is invalid.');
  const name = `${parent}/secrets/${id}`;
  if (fake.secrets.has(name)) return refused('ALREADY_EXISTS', `Secret [${name}] already exists.`);
  const body = JSON.parse(request.text()) as Json;
  if (!parent.includes('/locations/') && body['replication'] === undefined)
    return refused('INVALID_ARGUMENT', 'secret.replication must be set.');
  const secret: FakeSecret = {
    name,
    createTime: new Date().toISOString(),
    replication: body['replication'],
    versions: [],
    labels: {},
    annotations: {},
    versionAliases: {},
    revision: 1,
  };
  const problem = assign(secret, body, ['labels', 'annotations']);
  if (problem !== undefined) return refused('INVALID_ARGUMENT', problem);
  fake.secrets.set(name, secret);
  return json(shown(secret));
}

function secretAnswer(
  fake: GcpFake,
  secret: FakeSecret,
  request: RecordedRequest,
  query: URLSearchParams,
  rest: string,
): Answer {
  const etagGiven = request.method === 'PATCH' ? (JSON.parse(request.text()) as Json)['etag'] : query.get('etag');
  if (typeof etagGiven === 'string' && etagGiven !== '' && etagGiven !== etag(secret))
    return refused('ABORTED', 'The etag does not match the current one of the secret.');
  if (rest === ':addVersion') return added(secret, request);
  switch (request.method) {
    case 'GET':
      return json(shown(secret));
    case 'DELETE':
      fake.secrets.delete(secret.name);
      return json({});
    case 'PATCH': {
      const fields = (query.get('updateMask') ?? '')
        .split(',')
        .map((field) => field.replace(/_(.)/g, (_, c: string) => c.toUpperCase()));
      const problem = assign(secret, JSON.parse(request.text()) as Json, fields);
      if (problem !== undefined) return refused('INVALID_ARGUMENT', problem);
      secret.revision += 1;
      return json(shown(secret));
    }
    default:
      return refused('INVALID_ARGUMENT', 'No such method.');
  }
}

/** Takes fields over; says what is wrong with them. */
function assign(secret: FakeSecret, body: Json, fields: readonly string[]): string | undefined {
  const labels = (body['labels'] ?? {}) as Record<string, string>;
  const annotations = (body['annotations'] ?? {}) as Record<string, string>;
  const aliases = (body['versionAliases'] ?? {}) as Record<string, string | number>;
  if (fields.includes('labels')) {
    const wrong = Object.entries(labels).some(
      ([key, value]) => !/^[a-z][a-z0-9_-]{0,62}$/.test(key) || !/^[a-z0-9_-]{0,63}$/.test(value),
    );
    if (wrong || Object.keys(labels).length > 64) return 'Invalid labels.';
  }
  if (fields.includes('annotations')) {
    const wrong = Object.keys(annotations).some(
      (key) => !/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key),
    );
    if (wrong || Buffer.byteLength(JSON.stringify(annotations)) > 16_384) return 'Invalid annotations.';
  }
  if (fields.includes('versionAliases')) {
    for (const [alias, version] of Object.entries(aliases)) {
      if (!/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(alias) || ['latest', 'NEW'].includes(alias)) return 'Invalid alias.';
      if (secret.versions[Number(version) - 1] === undefined) return `Version ${version} of the alias does not exist.`;
    }
    if (Object.keys(aliases).length > 50) return 'At most 50 aliases.';
  }
  if (fields.includes('labels')) secret.labels = labels;
  if (fields.includes('annotations')) secret.annotations = annotations;
  if (fields.includes('versionAliases'))
    secret.versionAliases = Object.fromEntries(
      Object.entries(aliases).map(([alias, version]) => [alias, String(version)]),
    );
  return undefined;
}

function added(secret: FakeSecret, request: RecordedRequest): Answer {
  const { payload = {} } = JSON.parse(request.text()) as {
    readonly payload?: { readonly data?: string; readonly dataCrc32c?: string | number };
  };
  const data = Buffer.from(payload.data ?? '', 'base64');
  if (data.length === 0) return refused('INVALID_ARGUMENT', 'Secret payload is empty.');
  if (data.length > 65_536) return refused('INVALID_ARGUMENT', 'The secret payload is larger than 65536 bytes.');
  const hadChecksum = payload.dataCrc32c !== undefined;
  if (hadChecksum && String(payload.dataCrc32c) !== String(crc32c(data)))
    return refused('INVALID_ARGUMENT', 'The data does not match its checksum.');
  secret.versions.push({ state: 'ENABLED', data, createTime: new Date().toISOString(), hadChecksum });
  return json(shownVersion(secret, secret.versions.length));
}

function versionsAnswer(secret: FakeSecret, query: URLSearchParams, rest: string, pageSize: number): Answer {
  const [, wanted, action] = /^\/versions(?:\/([^:]+))?(?::(\w+))?$/.exec(rest) ?? [];
  if (wanted === undefined) {
    const numbers = secret.versions.map((_, index) => index + 1).reverse();
    return page(
      numbers.map((number) => shownVersion(secret, number)),
      'versions',
      query,
      pageSize,
    );
  }
  const newest = wanted === 'latest' ? String(secret.versions.length) : wanted;
  const aliased = action === undefined || action === 'access' ? secret.versionAliases[newest] : undefined;
  const number = Number(aliased ?? newest);
  const version = secret.versions[number - 1];
  const name = `${secret.name}/versions/${wanted}`;
  if (version === undefined) return refused('NOT_FOUND', `Secret Version [${name}] not found.`);
  if (action === 'access') {
    if (version.state !== 'ENABLED')
      return refused('FAILED_PRECONDITION', `Secret Version [${name}] is in ${version.state} state.`);
    const payload = { data: version.data.toString('base64'), dataCrc32c: String(crc32c(version.data)) };
    return json({ name: `${secret.name}/versions/${number}`, payload });
  }
  if (action === undefined) return json(shownVersion(secret, number));
  if (version.state === 'DESTROYED')
    return refused('FAILED_PRECONDITION', `Secret Version [${name}] is in DESTROYED state.`);
  if (action === 'destroy') version.data = Buffer.alloc(0);
  version.state = action === 'destroy' ? 'DESTROYED' : action === 'disable' ? 'DISABLED' : 'ENABLED';
  return json(shownVersion(secret, number));
}

function page(items: readonly Json[], field: string, query: URLSearchParams, pageSize: number): Answer {
  const start = Number(query.get('pageToken') ?? 0);
  const asked = Number(query.get('pageSize') ?? 0);
  const end = start + Math.min(pageSize, asked === 0 ? pageSize : asked);
  return json({
    [field]: items.slice(start, end),
    totalSize: items.length,
    ...(end < items.length ? { nextPageToken: String(end) } : {}),
  });
}

function shown({ name, createTime, replication, labels, annotations, versionAliases, revision }: FakeSecret): Json {
  const optional = { labels, annotations, versionAliases };
  const filled = Object.entries(optional).filter(([, value]) => Object.keys(value).length > 0);
  return {
    name,
    createTime,
    ...(replication === undefined ? {} : { replication }),
    ...Object.fromEntries(filled),
    etag: `"${revision}"`,
  };
}

function shownVersion(secret: FakeSecret, number: number): Json {
  const version = secret.versions[number - 1];
  return {
    name: `${secret.name}/versions/${number}`,
    createTime: version?.createTime,
    state: version?.state,
    etag: `"${number}-${version?.state}"`,
    ...(version?.hadChecksum === true ? { clientSpecifiedPayloadChecksum: true } : {}),
  };
}

function etag({ revision }: FakeSecret): string {
  return `"${revision}"`;
}

function json(body: Json): Answer {
  return { headers: { 'content-type': 'application/json; charset=UTF-8' }, body: JSON.stringify(body) };
}

function refused(status: string, message: string): Answer {
  const code = codes[status] ?? 500;
  return { ...json({ error: { code, message, status } }), status: code };
}
