import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Fault, FaultKind, FaultScript, RecordedRequest, ScriptedReply } from './fault-server.js';

interface FakeObject {
  readonly kind: string;
  readonly metadata: Record<string, unknown> & { readonly name: string };
  readonly [field: string]: unknown;
}

interface FakeEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly collection: string;
  readonly object: FakeObject;
}

/** An API server in this process: objects with versions, label selectors, pages, conditions, watches, immutable Secrets. */
export interface KubernetesFake extends FaultScript {
  readonly url: string;
  /** Tokens that are taken; empty: everybody may come in. */
  readonly tokens: Set<string>;
  /** Objects by collection and name, such as `/api/v1/namespaces/default/secrets` and `a`. */
  readonly collections: ReadonlyMap<string, Map<string, FakeObject>>;
  /** Bytes to every open watch, as they are. */
  sendRaw(bytes: string | Uint8Array): void;
  /** Ends every open watch; `abruptly`: by a reset. */
  cutWatches(abruptly?: boolean): void;
  /** Watches that are open. */
  watches(): number;
  /** Forgets changes up to now: a watch that begins earlier is answered with 410. */
  compact(): void;
  /** Lists of later pages are answered with 410 so many times. */
  expirePages(times: number): void;
  close(): Promise<void>;
}

/** Starts the fake. */
export async function kubernetesFake(): Promise<KubernetesFake> {
  const state = new FakeState();
  const server: Server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => undefined);
    void state.serve(incoming, outgoing).catch((error: unknown) => {
      outgoing.statusCode = 500;
      outgoing.end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests: state.requests,
    tokens: state.tokens,
    collections: state.collections,
    next: (fault) => void state.faults.push(...(Array.isArray(fault) ? (fault as Fault[]) : [fault as Fault])),
    sendRaw: (bytes) => {
      for (const { outgoing } of state.watchers) outgoing.write(bytes);
    },
    cutWatches: (abruptly = false) => {
      for (const { outgoing } of state.watchers) abruptly ? outgoing.destroy() : outgoing.end();
      state.watchers.clear();
    },
    watches: () => state.watchers.size,
    compact: () => {
      state.oldest = state.version;
      state.events.length = 0;
    },
    expirePages: (times) => {
      state.expiring = times;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Watcher {
  readonly collection: string;
  readonly query: URLSearchParams;
  readonly bare: boolean;
  readonly outgoing: ServerResponse;
}

class FakeState {
  readonly requests: RecordedRequest[] = [];
  readonly tokens = new Set<string>();
  readonly collections = new Map<string, Map<string, FakeObject>>();
  readonly faults: Fault[] = [];
  readonly watchers = new Set<Watcher>();
  readonly events: FakeEvent[] = [];
  version = 1;
  oldest = 0;
  expiring = 0;

  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<undefined> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const request: RecordedRequest = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers,
      body,
      text: () => body.toString('utf8'),
    };
    this.requests.push(request);
    const fault = this.faults.shift();
    if (fault !== undefined) {
      const { kind, afterHandling = false } = faultOf(fault);
      if (kind === undefined) return reply(outgoing, fault as ScriptedReply);
      if (!afterHandling) return fail(outgoing, kind);
      breakAnswer(outgoing);
    }
    const token = (headers['authorization'] ?? '').replace(/^Bearer /, '');
    if (this.tokens.size > 0 && !this.tokens.has(token)) return status(outgoing, 401, 'Unauthorized');
    const url = new URL(request.url, 'http://fake');
    if (url.pathname === '/version') return answer(outgoing, 200, { gitVersion: 'v1.34.0-fake' });
    return this.#route(request, url, outgoing);
  }

  #route(request: RecordedRequest, url: URL, outgoing: ServerResponse): undefined {
    const match = /^(\/apis?\/.*?\/?(?:namespaces\/[^/]+\/)?(?:secrets|configmaps))(?:\/([^/]+))?$/.exec(url.pathname);
    if (match === null) return status(outgoing, 404, undefined);
    const [, collection = '', encoded] = match;
    const objects = this.collections.get(collection) ?? new Map<string, FakeObject>();
    this.collections.set(collection, objects);
    const bare = (request.headers['accept'] ?? '').includes('PartialObjectMetadata');
    if (encoded === undefined) {
      if (request.method === 'POST') return this.#create(collection, objects, request, outgoing);
      if (url.searchParams.get('watch') === 'true') return this.#watch(collection, url.searchParams, bare, outgoing);
      return this.#list(objects, url.searchParams, bare, outgoing);
    }
    const name = decodeURIComponent(encoded);
    const known = objects.get(name);
    if (known === undefined) return status(outgoing, 404, 'NotFound');
    if (request.method === 'GET') {
      request.answer = { body: shown(known, bare) as never };
      return answer(outgoing, 200, shown(known, bare));
    }
    if (request.method === 'DELETE') return this.#delete(collection, objects, known, request, outgoing);
    return this.#change(collection, objects, known, request, outgoing);
  }

  #create(
    collection: string,
    objects: Map<string, FakeObject>,
    request: RecordedRequest,
    outgoing: ServerResponse,
  ): undefined {
    const given = JSON.parse(request.text()) as FakeObject;
    if (objects.has(given.metadata.name)) return status(outgoing, 409, 'AlreadyExists');
    if (tooLong(given)) return status(outgoing, 422, 'Invalid');
    const facts = { uid: randomUUID(), creationTimestamp: new Date().toISOString() };
    const stored = this.#store(collection, objects, { ...given, metadata: { ...given.metadata, ...facts } }, 'ADDED');
    answer(outgoing, 201, stored);
  }

  #change(
    collection: string,
    objects: Map<string, FakeObject>,
    known: FakeObject,
    request: RecordedRequest,
    outgoing: ServerResponse,
  ): undefined {
    const given = JSON.parse(request.text()) as FakeObject;
    const expected = given.metadata['resourceVersion'];
    if (expected !== undefined && expected !== known.metadata['resourceVersion'])
      return status(outgoing, 409, 'Conflict');
    const fixed = known['immutable'] === true && JSON.stringify(given['data']) !== JSON.stringify(known['data']);
    if (fixed || tooLong(given)) return status(outgoing, 422, 'Invalid');
    const { uid, creationTimestamp } = known.metadata;
    const next = request.method === 'PUT' ? given : { ...known, ...given };
    const metadata = { ...next.metadata, uid, creationTimestamp };
    answer(outgoing, 200, this.#store(collection, objects, { ...next, metadata }, 'MODIFIED'));
  }

  #delete(
    collection: string,
    objects: Map<string, FakeObject>,
    known: FakeObject,
    request: RecordedRequest,
    outgoing: ServerResponse,
  ): undefined {
    const { preconditions = {} } = JSON.parse(request.text() || '{}') as { preconditions?: Record<string, string> };
    for (const field of ['uid', 'resourceVersion'] as const) {
      if (preconditions[field] !== undefined && preconditions[field] !== known.metadata[field]) {
        return status(outgoing, 409, 'Conflict');
      }
    }
    objects.delete(known.metadata.name);
    this.version += 1;
    const metadata = { ...known.metadata, resourceVersion: String(this.version) };
    this.#tell({ type: 'DELETED', version: this.version, collection, object: { ...known, metadata } });
    answer(outgoing, 200, { kind: 'Status', status: 'Success' });
  }

  #store(
    collection: string,
    objects: Map<string, FakeObject>,
    object: FakeObject,
    type: FakeEvent['type'],
  ): FakeObject {
    this.version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } };
    objects.set(stored.metadata.name, stored);
    this.#tell({ type, version: this.version, collection, object: stored });
    return stored;
  }

  #tell(event: FakeEvent): undefined {
    this.events.push(event);
    for (const watcher of this.watchers) if (wants(watcher, event)) watcher.outgoing.write(lineOf(event, watcher.bare));
  }

  #list(objects: Map<string, FakeObject>, query: URLSearchParams, bare: boolean, outgoing: ServerResponse): undefined {
    const after = query.get('continue') ?? '';
    if (after !== '' && this.expiring > 0) {
      this.expiring -= 1;
      return status(outgoing, 410, 'Expired');
    }
    const selected = [...objects.values()]
      .filter((object) => isSelected(object, query))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .filter(({ metadata }) => metadata.name > after);
    const page = selected.slice(0, Number(query.get('limit') ?? 500));
    const next = page.length < selected.length ? page.at(-1)?.metadata.name : undefined;
    const metadata = { resourceVersion: String(this.version), ...(next === undefined ? {} : { continue: next }) };
    answer(outgoing, 200, { kind: 'List', metadata, items: page.map((object) => shown(object, bare)) });
  }

  #watch(collection: string, query: URLSearchParams, bare: boolean, outgoing: ServerResponse): undefined {
    const from = Number(query.get('resourceVersion') ?? '0');
    if (from < this.oldest) return status(outgoing, 410, 'Expired');
    outgoing.writeHead(200, { 'content-type': 'application/json' });
    outgoing.flushHeaders();
    const watcher: Watcher = { collection, query, bare, outgoing };
    for (const event of this.events) {
      if (event.version > from && wants(watcher, event)) outgoing.write(lineOf(event, bare));
    }
    this.watchers.add(watcher);
    outgoing.on('close', () => this.watchers.delete(watcher));
  }
}

function wants({ collection, query }: Watcher, event: FakeEvent): boolean {
  return event.collection === collection && isSelected(event.object, query);
}

function lineOf({ type, object }: FakeEvent, bare: boolean): string {
  return `${JSON.stringify({ type, object: shown(object, bare) })}\n`;
}

function isSelected({ metadata }: FakeObject, query: URLSearchParams): boolean {
  const labels = (metadata['labels'] ?? {}) as Record<string, string>;
  const wanted = (query.get('labelSelector') ?? '').split(',').filter((part) => part !== '');
  const field = /^metadata\.name=(.*)$/.exec(query.get('fieldSelector') ?? '')?.[1];
  return (
    (field === undefined || field === metadata.name) &&
    wanted.every((part) => {
      const [name = '', value = ''] = part.split('=');
      return labels[name] === value;
    })
  );
}

function shown(object: FakeObject, bare: boolean): unknown {
  return bare ? { kind: 'PartialObjectMetadata', metadata: object.metadata } : object;
}

function tooLong(object: FakeObject): boolean {
  const values = Object.values((object['data'] ?? {}) as Record<string, string>);
  return values.reduce((sum, value) => sum + Buffer.from(value, 'base64').length, 0) > 1_048_576;
}

function faultOf(fault: Fault): {
  readonly kind?: FaultKind | undefined;
  readonly afterHandling?: boolean | undefined;
} {
  if (typeof fault === 'string') return { kind: fault };
  return 'kind' in fault ? fault : {};
}

/** The request takes effect and its answer is lost. */
function breakAnswer(outgoing: ServerResponse): undefined {
  outgoing.writeHead = () => outgoing;
  outgoing.end = () => {
    outgoing.destroy();
    return outgoing;
  };
}

function reply(outgoing: ServerResponse, { status: code = 200, headers, body = {} }: ScriptedReply): undefined {
  outgoing.writeHead(code, headers);
  outgoing.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body));
}

function fail(outgoing: ServerResponse, kind: FaultKind): undefined {
  if (kind === 'hang') return;
  if (kind === 'reset') {
    outgoing.destroy();
    return;
  }
  outgoing.writeHead(200, { 'content-type': 'application/json' });
  if (kind !== 'oversized') {
    outgoing.write('{"metadata":{');
    setImmediate(() => outgoing.destroy());
    return;
  }
  const block = Buffer.alloc(65_536, 0x20);
  const more = (): void => {
    while (!outgoing.destroyed && outgoing.write(block)) if (outgoing.writableLength > 1_048_576) break;
  };
  outgoing.on('drain', more);
  more();
}

function status(outgoing: ServerResponse, code: number, reason: string | undefined): undefined {
  if (reason === undefined) {
    answer(outgoing, code, {});
    return;
  }
  answer(outgoing, code, {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason,
    code,
    message: `fake: ${reason}`,
  });
}

function answer(outgoing: ServerResponse, code: number, body: unknown): undefined {
  const bytes = Buffer.from(JSON.stringify(body));
  outgoing.writeHead(code, { 'content-type': 'application/json', 'content-length': bytes.length });
  outgoing.end(bytes);
}
