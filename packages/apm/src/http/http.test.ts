import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Span } from '@mnops/core/spi';
import { trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { wrappedFunctions } from '../testing/wrapped-functions.js';
import { type HttpInstrumentationOptions, instrumentHttp } from './index.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(options: HttpInstrumentationOptions = {}): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({ service: 'web', propagators: ['tracecontext', 'baggage', 'b3'] });
  await apm.start();
  cleanups.push(() => apm.stop());
  cleanups.push(instrumentHttp(apm, options));
  return apm;
}

async function serving(
  listener: RequestListener,
  configure: (server: Server) => void = () => undefined,
): Promise<string> {
  const server = http.createServer(listener);
  configure(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An address where nobody listens. */
async function refusing(): Promise<string> {
  const server = http.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/`;
}

async function spans(apm: PerformanceMonitoringManager): Promise<Span[]> {
  const found: Span[] = [];
  for await (const one of apm.findTraces({ limit: 1_000 })) found.push(...one.spans);
  return found;
}

/** Spans once that many have ended and none is open. */
async function ended(apm: PerformanceMonitoringManager, count: number): Promise<Span[]> {
  await expect.poll(() => apm.stats().spans, { timeout: 5_000 }).toMatchObject({ ended: count, open: 0 });
  return await spans(apm);
}

async function answer(request: http.ClientRequest): Promise<{ status: number; body: string }> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

const echo: RequestListener = (request, response) => {
  response.end(JSON.stringify({ headers: request.headers, span: trace.getActiveSpan()?.spanContext() }));
};

describe('outgoing requests', () => {
  const forms: readonly (readonly [string, (url: string) => http.ClientRequest])[] = [
    ['a text', (url) => http.get(`${url}/a?x=1`)],
    ['a URL', (url) => http.get(new URL('/a?x=1', url))],
    ['a URL and options', (url) => http.get(new URL('/a?x=1', url), { headers: { 'x-own': '1' } })],
    ['options', (url) => http.get({ ...parts(url), path: '/a?x=1' })],
    ['a listener', (url) => http.get(`${url}/a?x=1`, () => undefined)],
    ['options and a listener', (url) => http.get({ ...parts(url), path: '/a?x=1' }, () => undefined)],
    ['a flat list of headers', (url) => http.get(`${url}/a?x=1`, { headers: ['host', 'a.test', 'x-own', '1'] })],
    [
      'pairs of headers',
      (url) => {
        const headers = [
          ['host', 'a.test'],
          ['x-own', '1'],
        ] as unknown as string[];
        return http.get(`${url}/a?x=1`, { headers });
      },
    ],
    ['no agent', (url) => http.get(`${url}/a?x=1`, { agent: false })],
    ['a connection of its own', (url) => http.get(`${url}/a?x=1`, { createConnection: () => connect(parts(url)) })],
  ];

  it.each(forms)('get one span and the headers: by %s', async (_form, send) => {
    const url = await serving(echo);
    const apm = await started({ incoming: false });
    const [traceId, body] = await apm.trace('work', async (span) => {
      return [span.spanContext().traceId, (await answer(send(url))).body] as const;
    });
    const found = await ended(apm, 2);
    const client = found.find(({ kind }) => kind === 'client');
    const { headers } = JSON.parse(body) as { headers: Record<string, string> };
    expect(headers['traceparent']).toBe(`00-${traceId}-${client?.spanId}-03`);
    expect(headers['b3']).toBe(`${traceId}-${client?.spanId}-1`);
    expect(client).toMatchObject({
      name: 'GET',
      traceId,
      status: { code: 'unset' },
      attributes: {
        'http.request.method': 'GET',
        'url.full': `${url}/a?x=1`,
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(url).port),
        'http.response.status_code': 200,
        'network.protocol.version': '1.1',
        'network.peer.address': '127.0.0.1',
      },
    });
    expect(Object.keys(headers).includes('x-own')).toBe(send.toString().includes('x-own'));
  });

  it('with Expect: 100-continue, by imported names, and by fetch', async () => {
    const url = await serving(echo);
    const apm = await started({ incoming: false });
    const { request: imported } = await import('node:http');
    const sent = imported(url, { method: 'POST', headers: { expect: '100-continue', 'content-length': 1 } });
    sent.on('continue', () => sent.end('x'));
    expect(JSON.parse((await answer(sent)).body).headers.traceparent).toMatch(/^00-/);
    const fetched = (await (await fetch(`${url}/f?token=abc&a=1#x`)).json()) as { headers: Record<string, string> };
    expect(fetched.headers['traceparent']).toMatch(/-03$/);
    const found = await ended(apm, 2);
    expect(found.map(({ name }) => name).sort()).toEqual(['GET', 'POST']);
    const attributes = found.find(({ name }) => name === 'GET')?.attributes;
    expect(attributes).toMatchObject({
      'url.full': `${url}/f?token=REDACTED&a=1`,
      'http.response.status_code': 200,
      'network.peer.address': '127.0.0.1',
    });
  });

  it('what follows the answer belongs to the caller, not to the request', async () => {
    const url = await serving(echo);
    const apm = await started({ incoming: false });
    const parent = await apm.trace('work', async (span) => {
      await new Promise<void>((resolve) => {
        http.get(url, (response) => {
          apm.trace('after', () => undefined);
          response.resume().on('end', () => {
            apm.trace('at the end', () => undefined);
            resolve();
          });
        });
      });
      await (await fetch(url)).text();
      apm.trace('later', () => undefined);
      return span.spanContext().spanId;
    });
    for (const span of await ended(apm, 6)) {
      if (span.name !== 'work') expect([span.name, span.parentSpanId]).toEqual([span.name, parent]);
    }
  });

  it('fail from 400 on, at errors, and when they are given up', async () => {
    let hanging = 0;
    let halfway: Socket | undefined;
    const url = await serving((request, response) => {
      if (request.url === '/reset') request.socket.destroy();
      else if (request.url === '/half') {
        halfway = request.socket;
        response.write('x');
      } else if (request.url === '/hang') hanging += 1;
      else response.writeHead(Number(request.url?.slice(1))).end();
    });
    const apm = await started({ incoming: false });
    for (const path of ['/404', '/500', '/302']) await answer(http.get(url + path));
    for (const path of ['/404', '/503']) await (await fetch(url + path)).text();
    const failed: unknown[] = [];
    await closed(http.get(`${url}/reset`).on('error', (error) => failed.push(error)));
    const half = http.get(`${url}/half`, (response) => {
      response.on('error', (error) => failed.push(error)).on('data', () => halfway?.destroy());
    });
    await closed(half);
    const given = http.get(`${url}/hang`).on('error', (error) => failed.push(error));
    await expect.poll(() => hanging).toBe(1);
    given.destroy();
    await closed(given);
    const abort = new AbortController();
    const aborted = fetch(`${url}/hang`, { signal: abort.signal });
    await expect.poll(() => hanging).toBe(2);
    abort.abort();
    await expect(aborted).rejects.toThrow();
    await expect(fetch(`${url}/reset`)).rejects.toThrow();
    const nobody = await refusing();
    await expect(fetch(nobody)).rejects.toThrow();
    await closed(http.get(nobody).on('error', (error) => failed.push(error)));
    expect(() => http.get('not a url')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_URL' }));
    expect(() => http.get({ path: '/a b' })).toThrow(expect.objectContaining({ code: 'ERR_UNESCAPED_CHARACTERS' }));
    const found = await ended(apm, 13);
    const said = found.map(({ attributes, status }) =>
      `${attributes['url.full']} ${attributes['error.type']} ${status.code}`.replace(url, ''),
    );
    expect(said.sort()).toEqual(
      [
        '/302 undefined unset',
        '/404 404 error',
        '/404 404 error',
        '/500 500 error',
        '/503 503 error',
        '/half ECONNRESET error',
        '/hang AbortError error',
        '/hang ECONNRESET error',
        '/reset ECONNRESET error',
        '/reset UND_ERR_SOCKET error',
        `${nobody} ECONNREFUSED error`,
        `${nobody} ECONNREFUSED error`,
        'http://localhost/a b ERR_UNESCAPED_CHARACTERS error',
      ].sort(),
    );
    expect(failed).toHaveLength(4);
  });

  it('leave out passwords and secrets of addresses', async () => {
    const url = await serving(echo);
    const apm = await started({ incoming: false });
    await answer(http.get(`${url.replace('//', '//user:hunter2@')}/p?sig=hunter2&X-Amz-Signature=hunter2&ok=1`));
    const [span] = await ended(apm, 1);
    expect(span?.attributes['url.full']).toBe(`${url}/p?sig=REDACTED&X-Amz-Signature=REDACTED&ok=1`);
    expect(JSON.stringify(span, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      'hunter2',
    );
  });

  it('are left alone where they have a parent already, are ignored, or come from inside', async () => {
    const url = await serving(echo);
    const apm = await started({
      incoming: false,
      ignore: ({ path, direction }) => path === '/probe' && direction === 'outgoing',
    });
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const bodies = [
      await answer(http.get(url, { headers: { TraceParent: traceparent } })),
      { body: await (await fetch(url, { headers: { traceparent } })).text() },
      await answer(http.get(`${url}/probe`)),
      { body: await (await fetch(`${url}/probe`)).text() },
    ].map(({ body }) => (JSON.parse(body) as { headers: Record<string, string> }).headers['traceparent']);
    expect(bodies).toEqual([traceparent, traceparent, undefined, undefined]);
    expect(apm.stats().spans.started).toBe(0);
  });

  it('that become another protocol end with the change', async () => {
    const url = await serving(echo, (server) => {
      server.on('upgrade', (_request, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
        socket.on('data', (data) => socket.end(data));
      });
    });
    const apm = await started();
    const sent = http.get(url, { headers: { connection: 'upgrade', upgrade: 'x' } });
    const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Socket];
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
    socket.destroy();
    const [span] = await ended(apm, 1);
    expect(span?.attributes['http.response.status_code']).toBe(101);
  });
});

describe('incoming requests', () => {
  it('continue the trace, in all that they lead to', async () => {
    const apm = await started();
    const within: (string | undefined)[] = [];
    const note = (): void => void within.push(trace.getActiveSpan()?.spanContext().traceId);
    const url = await serving((request, response) => {
      note();
      request.on('data', note);
      request.on('end', async () => {
        note();
        await new Promise((resolve) => setImmediate(resolve));
        note();
        response.on('finish', note);
        response.end('ok');
      });
    });
    const headers = {
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      baggage: 'user=1',
      'user-agent': 'test',
      'x-forwarded-for': '10.0.0.1, 10.0.0.2',
    };
    for (let i = 0; i < 2; i += 1) {
      const agent = new http.Agent({ keepAlive: true });
      const sent = http.request(`${url}/items/7?apikey=1&a=2`, { method: 'POST', headers, agent });
      sent.end('body');
      expect((await answer(sent)).status).toBe(200);
      agent.destroy();
    }
    const [span] = await ended(apm, 2);
    expect(within).toEqual(Array.from({ length: 10 }, () => 'a'.repeat(32)));
    expect(span).toMatchObject({
      name: 'POST',
      kind: 'server',
      traceId: 'a'.repeat(32),
      parentSpanId: 'b'.repeat(16),
      status: { code: 'unset' },
      attributes: {
        'http.request.method': 'POST',
        'url.scheme': 'http',
        'url.path': '/items/7',
        'url.query': 'apikey=REDACTED&a=2',
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(url).port),
        'client.address': '10.0.0.1',
        'network.peer.address': '127.0.0.1',
        'network.protocol.version': '1.1',
        'user_agent.original': 'test',
        'http.response.status_code': 200,
      },
    });
  });

  it('keep apart what comes over one connection, also before the first is answered', async () => {
    const apm = await started({ outgoing: false });
    const url = await serving(async (request, response) => {
      await new Promise((resolve) => setTimeout(resolve, request.url === '/1' ? 20 : 1));
      response.end(`<${request.url} ${trace.getActiveSpan()?.spanContext().traceId.slice(0, 2)}>`);
    });
    const socket = connect(parts(url));
    const line = (id: string): string =>
      `GET /${id} HTTP/1.1\r\nhost: a\r\ntraceparent: 00-${id.repeat(32)}-${'b'.repeat(16)}-01\r\n${id === '3' ? 'connection: close\r\n' : ''}\r\n`;
    socket.write(['1', '2', '3'].map(line).join(''));
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text.match(/<[^>]*>/g)).toEqual(['</1 11>', '</2 22>', '</3 33>']);
    expect(new Set((await ended(apm, 3)).map(({ traceId }) => traceId)).size).toBe(3);
  });

  it('begin a trace at two parents', async () => {
    const apm = await started({ outgoing: false });
    const url = await serving(echo);
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    await answer(http.get(url, { headers: { traceparent: [traceparent, traceparent] as unknown as string } }));
    const [span] = await ended(apm, 1);
    expect(span?.parentSpanId).toBeUndefined();
    expect(span?.traceId).not.toBe('1'.repeat(32));
  });

  it('fail from 500 on, and when the client goes away', async () => {
    const apm = await started({ outgoing: false });
    const gone: Promise<unknown>[] = [];
    const url = await serving((request, response) => {
      if (request.url === '/hang') gone.push(once(response, 'close'));
      else response.writeHead(Number(request.url?.slice(1))).end();
    });
    for (const path of ['/404', '/500', '/503']) await answer(http.get(url + path));
    const given = http.get(`${url}/hang`).on('error', () => undefined);
    await expect.poll(() => gone.length).toBe(1);
    given.destroy();
    const found = await ended(apm, 4);
    const said = found.map(
      ({ attributes, status }) => `${attributes['url.path']} ${attributes['error.type']} ${status.code}`,
    );
    expect(said.sort()).toEqual(['/404 undefined unset', '/500 500 error', '/503 503 error', '/hang aborted error']);
  });

  it('have names of routes, never of paths or made-up methods', async () => {
    const apm = await started({ outgoing: false });
    const url = await serving((request, response) => {
      if (request.url?.startsWith('/v1')) Object.assign(request, { baseUrl: '/v1', route: { path: '/items/:id' } });
      response.end();
    });
    await answer(http.get(`${url}/v1/items/7`));
    await answer(http.get(`${url}/other/7`));
    const socket = connect(parts(url));
    socket.write('MKCOL /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    for await (const _ of socket);
    const found = await ended(apm, 3);
    expect(found.map(({ name }) => name).sort()).toEqual(['GET', 'GET /v1/items/:id', 'HTTP']);
    expect(found.find(({ name }) => name === 'HTTP')?.attributes).toMatchObject({
      'http.request.method': '_OTHER',
      'http.request.method_original': 'MKCOL',
    });
  });

  it('take route, hook and ignore from the caller, and nothing that these throw', async () => {
    const warnings: string[] = [];
    const listen = ({ message, cause }: Error): void => void warnings.push(`${message} ${cause instanceof Error}`);
    process.on('warning', listen);
    cleanups.push(() => void process.off('warning', listen));
    const apm = await started({
      outgoing: false,
      ignore: ({ path }) => {
        if (path === '/throws') throw new Error('no');
        return path === '/probe';
      },
      route: ({ url }) => {
        if (url === '/throws') throw new Error('no');
        return '/all';
      },
      onRequest: (span, { path, method, host }) => {
        if (path === '/throws') throw new Error('no');
        span.setAttribute('own', `${method} ${host}`);
      },
    });
    const url = await serving((_request, response) => {
      apm.trace('inner', () => response.end());
    });
    for (const path of ['/probe', '/throws', '/throws', '/x'])
      expect((await answer(http.get(url + path))).status).toBe(200);
    const found = await ended(apm, 6);
    expect(found.map(({ name }) => name).sort()).toEqual(['GET', 'GET', 'GET /all', 'inner', 'inner', 'inner']);
    expect(warnings.sort()).toEqual(
      ['ignore', 'onRequest', 'route'].map((hook) => `The hook ${hook} of instrumentHttp failed: no true`),
    );
    expect(found.find(({ name }) => name === 'GET /all')?.attributes['own']).toBe('GET 127.0.0.1');
  });
});

describe('instrumentHttp', () => {
  it('is undone without a trace, in any order, and makes one span where it is on twice', async () => {
    const before = wrappedFunctions();
    const apm = new PerformanceMonitoringManager({ service: 'web' });
    await apm.start();
    cleanups.push(() => apm.stop());
    const url = await serving(echo);
    const ordered = [instrumentHttp(apm), instrumentHttp(apm)];
    for (const one of ordered.reverse()) one();
    expect(wrappedFunctions()).toEqual(before);
    const undo = [instrumentHttp(apm), instrumentHttp(apm)];
    await answer(http.get(url));
    await (await fetch(url)).text();
    await ended(apm, 4);
    undo[0]?.();
    await answer(http.get(url));
    await (await fetch(url)).text();
    await ended(apm, 8);
    undo[1]?.();
    undo[1]?.();
    const { body } = await answer(http.get(url));
    await (await fetch(url)).text();
    expect(apm.stats().spans.started).toBe(8);
    expect(body).not.toContain('traceparent');
    const { request } = await import('node:http');
    expect(request).toBe(http.request);
  });

  it('does nothing before the start and after the stop', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'web' });
    cleanups.push(instrumentHttp(apm));
    const url = await serving(echo);
    expect(JSON.parse((await answer(http.get(url))).body).headers).not.toHaveProperty('traceparent');
    await apm.start();
    await answer(http.get(url));
    await ended(apm, 2);
    await apm.stop();
    expect(JSON.parse((await answer(http.get(url))).body).headers).not.toHaveProperty('traceparent');
    expect(apm.stats().spans.started).toBe(2);
  });

  it('checks its options', () => {
    const wrong = { ignored: true } as HttpInstrumentationOptions;
    expect(() => instrumentHttp(new PerformanceMonitoringManager({ service: 'x' }), wrong)).toThrow(
      expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID', message: expect.stringContaining('ignored') }),
    );
    const forgotten = { ignore: () => true } as unknown as PerformanceMonitoringManager;
    for (const none of [forgotten, undefined as unknown as PerformanceMonitoringManager]) {
      expect(() => instrumentHttp(none)).toThrow(
        expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID', message: expect.stringContaining('apm') }),
      );
    }
  });
});

function parts(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** `once` would reject at the error that comes before. */
async function closed(request: http.ClientRequest): Promise<void> {
  await new Promise((resolve) => request.once('close', resolve));
}
