import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Span } from '@mnops/core/spi';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { instrumentHttp } from './index.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** What happened in one run, in its order. */
type Log = (text: string) => void;

interface Scene {
  readonly log: Log;
  /** Serves on loopback; the events of each request and answer are written down. */
  serve(listener: RequestListener, configure?: (server: Server) => void): Promise<string>;
  /** Writes down the events of a request and of its answer until both are closed. */
  follow(request: http.ClientRequest): Promise<void>;
}

const requestEvents = [
  'socket',
  'continue',
  'information',
  'response',
  'upgrade',
  'connect',
  'finish',
  'abort',
  'timeout',
  'error',
  'close',
];
const answerEvents = ['data', 'end', 'aborted', 'error', 'close'];

function codeOf(value: unknown): string {
  const { code, name } = (value ?? {}) as { code?: string; name?: string };
  return code ?? name ?? String(value);
}

function scene(): { scene: Scene; lines: string[]; closed: () => Promise<void> } {
  const lines: string[] = [];
  const servers: Server[] = [];
  const pending: Promise<unknown>[] = [];
  const log: Log = (text) => void lines.push(text);
  return {
    lines,
    closed: async () => {
      await Promise.all(pending);
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
    scene: {
      log,
      async serve(listener, configure = () => undefined) {
        const server = http.createServer((request, response) => {
          for (const event of ['end', 'aborted', 'error', 'close'])
            request.on(event, (value) => log(`server request ${event} ${value === undefined ? '' : codeOf(value)}`));
          for (const event of ['finish', 'error', 'close']) response.on(event, () => log(`server response ${event}`));
          pending.push(new Promise((resolve) => response.once('close', resolve)));
          listener(request, response);
        });
        configure(server);
        servers.push(server);
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      },
      async follow(request) {
        for (const event of requestEvents) {
          if (event === 'response' || event === 'upgrade' || event === 'connect') continue;
          request.on(event, (value) => log(`request ${event} ${event === 'error' ? codeOf(value) : ''}`));
        }
        request.on('response', (response: IncomingMessage) => {
          log(`request response ${response.statusCode}`);
          for (const event of answerEvents)
            response.on(event, (value) =>
              log(
                `answer ${event} ${event === 'error' ? codeOf(value) : event === 'data' ? String(value).length : ''}`,
              ),
            );
        });
        await new Promise((resolve) => request.once('close', resolve));
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
  };
}

interface Told {
  readonly lines: readonly string[];
  readonly spans: readonly Span[];
}

/** Plays one scene with or without the instrumentation. */
async function play(act: (scene: Scene) => Promise<void>, traced: boolean): Promise<Told> {
  const apm = new PerformanceMonitoringManager({ service: 'web', registerGlobals: false });
  await apm.start();
  const undo = traced ? instrumentHttp(apm) : (): void => undefined;
  const { scene: stage, lines, closed } = scene();
  try {
    await act(stage);
    await closed();
    await expect.poll(() => apm.stats().spans.open, { timeout: 10_000 }).toBe(0);
    const spans: Span[] = [];
    for await (const trace of apm.findTraces({ limit: 10_000 })) spans.push(...trace.spans);
    expect(apm.stats().spans.ended).toBe(spans.length);
    return { lines, spans };
  } finally {
    undo();
    await apm.stop();
  }
}

function said({ kind, name, attributes, status }: Span): string {
  return [kind, name, attributes['http.response.status_code'], attributes['error.type'], status.code].join(' ');
}

function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let got = '';
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text));
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
    socket.on('error', () => undefined).on('close', () => resolve(got.replace(/date: .*\r\n/i, '')));
  });
}

async function text(response: IncomingMessage): Promise<string> {
  let all = '';
  for await (const chunk of response) all += String(chunk);
  return all;
}

const ok: RequestListener = (_request, response) => void response.end('ok');
const body = 'x'.repeat(100_000);

/** Each scene with what its spans say, in any order. */
const scenes: readonly (readonly [string, (scene: Scene) => Promise<void>, readonly string[]])[] = [
  [
    'a plain request',
    async ({ serve, follow }) => follow(http.get(await serve(ok))),
    ['client GET 200  unset', 'server GET 200  unset'],
  ],
  [
    'HEAD, 204 and 304',
    async ({ serve, follow }) => {
      const url = await serve((request, response) => void response.writeHead(Number(request.url?.slice(1))).end());
      await follow(http.request(`${url}/200`, { method: 'HEAD' }).end());
      for (const path of ['/204', '/304']) await follow(http.get(url + path));
    },
    [
      'client GET 204  unset',
      'client GET 304  unset',
      'client HEAD 200  unset',
      'server GET 204  unset',
      'server GET 304  unset',
      'server HEAD 200  unset',
    ],
  ],
  [
    'a client that goes away in the middle of its body',
    async ({ serve, follow, log }) => {
      let arrived = (): void => undefined;
      const begun = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const url = await serve((request) => void request.once('data', () => arrived()));
      const request = http.request(url, { method: 'POST', headers: { 'content-length': 1_000 } });
      const ended = follow(request);
      request.write('x');
      await begun;
      log('destroy');
      request.destroy();
      await ended;
    },
    ['client POST  ECONNRESET error', 'server POST  aborted error'],
  ],
  [
    'a server that goes away in the middle of its answer',
    async ({ serve, follow }) => {
      const url = await serve((request, response) => {
        response.writeHead(200, { 'content-length': 1_000 });
        response.write('x', () => setImmediate(() => request.socket.destroy()));
      });
      await follow(http.get(url));
    },
    ['client GET 200 ECONNRESET error', 'server GET 200 aborted error'],
  ],
  [
    'a socket that hangs up',
    async ({ serve, follow }) => {
      const url = await serve((request) => void request.socket.destroy());
      await follow(http.get(url));
    },
    ['client GET  ECONNRESET error', 'server GET  aborted error'],
  ],
  [
    'a timeout that destroys',
    async ({ serve, follow }) => {
      const url = await serve(() => undefined);
      const request = http.get(url, { timeout: 20 });
      request.on('timeout', () => request.destroy(Object.assign(new Error('late'), { code: 'LATE' })));
      await follow(request);
    },
    ['client GET  LATE error', 'server GET  aborted error'],
  ],
  [
    'an AbortSignal',
    async ({ serve, follow }) => {
      const abort = new AbortController();
      const url = await serve(() => abort.abort());
      await follow(http.get(url, { signal: abort.signal }));
    },
    ['client GET  ABORT_ERR error', 'server GET  aborted error'],
  ],
  [
    'Expect: 100-continue, granted and taken by a listener of its own',
    async ({ serve, follow }) => {
      const url = await serve((request, response) => void request.resume().on('end', () => response.end('ok')));
      const own = await serve(
        ok,
        (server) =>
          void server.on('checkContinue', (request: IncomingMessage, response) => {
            request.resume();
            response.writeHead(417).end();
          }),
      );
      for (const to of [url, own]) {
        const request = http.request(to, { method: 'POST', headers: { expect: '100-continue', 'content-length': 1 } });
        request.on('continue', () => request.end('x'));
        if (to === own) request.on('response', () => request.end());
        await follow(request);
      }
    },
    ['client POST 200  unset', 'client POST 417 417 error', 'server POST 200  unset', 'server POST 417  unset'],
  ],
  [
    'an upgrade that is taken',
    async ({ serve, log }) => {
      const sockets: Socket[] = [];
      const url = await serve(
        ok,
        (server) =>
          void server.on('upgrade', (_request, socket: Socket) => {
            sockets.push(socket);
            socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
            socket.pipe(socket);
          }),
      );
      const request = http.get(url, { headers: { connection: 'upgrade', upgrade: 'x' } });
      const [response, socket] = (await once(request, 'upgrade')) as [IncomingMessage, Socket];
      log(`upgrade ${response.statusCode}`);
      socket.write('ping');
      log(String((await once(socket, 'data'))[0]));
      socket.destroy();
      for (const one of sockets) one.destroy();
    },
    ['client GET 101  unset'],
  ],
  [
    'an upgrade that nobody takes',
    async ({ serve, follow }) =>
      follow(http.get(await serve(ok), { headers: { connection: 'upgrade', upgrade: 'x' } })),
    ['client GET 200  unset', 'server GET 200  unset'],
  ],
  [
    'CONNECT',
    async ({ serve, log }) => {
      const url = await serve(
        ok,
        (server) =>
          void server.on('connect', (_request, socket: Socket) => {
            socket.end('HTTP/1.1 200 Connection Established\r\n\r\nhello');
          }),
      );
      const { hostname, port } = new URL(url);
      const request = http.request({ hostname, port, method: 'CONNECT', path: 'a.test:443' }).end();
      const [response, socket, head] = (await once(request, 'connect')) as [IncomingMessage, Socket, Buffer];
      log(`connect ${response.statusCode} ${head}`);
      socket.destroy();
    },
    ['client CONNECT 200  unset'],
  ],
  [
    'a connection that is used again',
    async ({ serve, follow }) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const url = await serve(ok);
      for (let count = 0; count < 3; count += 1) await follow(http.get(url, { agent }));
      agent.destroy();
    },
    [...Array<string>(3).fill('client GET 200  unset'), ...Array<string>(3).fill('server GET 200  unset')],
  ],
  [
    'requests in a pipeline',
    async ({ serve, log }) => {
      const url = await serve((request, response) => void response.end(request.url));
      const line = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
      log(await raw(url, line('/1') + line('/2') + line('/3', 'connection: close\r\n')));
    },
    Array<string>(3).fill('server GET 200  unset'),
  ],
  [
    'a handler that answers twice, and one whose answer is destroyed',
    async ({ serve, follow, log }) => {
      const url = await serve((request, response) => {
        if (request.url === '/destroy') return void response.destroy();
        response.end('1');
        response.end('2');
        try {
          response.writeHead(500);
        } catch (error) {
          log(codeOf(error));
        }
      });
      await follow(http.get(url));
      await follow(http.get(`${url}/destroy`));
    },
    ['client GET  ECONNRESET error', 'client GET 200  unset', 'server GET  aborted error', 'server GET 200  unset'],
  ],
  [
    'a handler that throws',
    async ({ serve, follow, log }) => {
      const url = await serve((_request, response) => {
        setImmediate(() => response.destroy());
        throw Object.assign(new Error('mine'), { code: 'MINE' });
      });
      process.setUncaughtExceptionCaptureCallback((error) => log(`uncaught ${codeOf(error)}`));
      await follow(http.get(url)).finally(() => process.setUncaughtExceptionCaptureCallback(null));
    },
    ['client GET  ECONNRESET error', 'server GET  MINE error'],
  ],
  [
    'listeners that are taken away',
    async ({ serve, follow }) => {
      const url = await serve((request, response) => {
        request.removeAllListeners();
        response.end('ok');
      });
      const request = http.get(url);
      request.removeAllListeners('response');
      await follow(request);
    },
    ['client GET 200  unset', 'server GET 200  unset'],
  ],
  [
    'an answer that nobody reads',
    async ({ serve, log }) => {
      const request = http.get(await serve((_request, response) => void response.end(body)));
      await new Promise((resolve) => request.once('close', resolve));
      log('closed');
    },
    ['client GET 200  unset', 'server GET 200  unset'],
  ],
  [
    'requests that Node refuses',
    async ({ serve, log }) => {
      const url = await serve(ok);
      const attempts: (() => unknown)[] = [
        () => http.get('no address'),
        () => http.get(url, { path: '/a b' }),
        () => http.get(url, { headers: { 'a b': '1' } }),
        () => http.get(url, { headers: { a: 'x\ny' } }),
        () => http.get(url, { method: 'A B' }),
        () => http.get(url, { protocol: 'ftp:' }),
        () =>
          http
            .get(url, { headers: null as never })
            .on('error', () => undefined)
            .destroy(),
        () =>
          http
            .get(undefined as never)
            .on('error', () => undefined)
            .destroy(),
        () =>
          http
            .get(null as never)
            .on('error', () => undefined)
            .destroy(),
        () =>
          http
            .get(url, null as never)
            .on('error', () => undefined)
            .destroy(),
        () => http.get(url, { timeout: 'x' as never }),
        () => http.get(url, { agent: 1 as never }),
        () => http.get(url, { signal: 1 as never }),
        () =>
          http.get(url, {
            get headers(): never {
              throw Object.assign(new Error('mine'), { code: 'MINE' });
            },
          }),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
          log('taken');
        } catch (error) {
          log(`${codeOf(error)} ${(error as Error).message}`);
        }
      }
    },
    ['*'],
  ],
  [
    'options that are frozen, or inherited, or have getters',
    async ({ serve, follow }) => {
      const url = new URL(await serve((request, response) => void response.end(String(request.headers['x-own']))));
      const { hostname, port } = url;
      await follow(http.get(Object.freeze({ hostname, port, headers: Object.freeze({ 'x-own': '1' }) })));
      await follow(http.get(Object.create({ hostname, port, headers: { 'x-own': '12' } }) as http.RequestOptions));
      class Options {
        readonly hostname = hostname;
        readonly port = port;
        get headers(): Record<string, string> {
          return { 'x-own': '123' };
        }
      }
      await follow(http.get(new Options()));
    },
    ['*'],
  ],
  [
    'hostile headers',
    async ({ serve, log }) => {
      const url = await serve(
        (request, response) => void response.end(String(request.rawHeaders.length)),
        (server) => {
          server.maxHeadersCount = 0;
        },
      );
      const ask = (headers: string): Promise<string> =>
        raw(url, `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${headers}\r\n`);
      log(await ask(Array.from({ length: 2_000 }, (_, index) => `a${index}: b\r\n`).join('')));
      log(await ask(Array.from({ length: 10_000 }, (_, index) => `a${index}: b\r\n`).join('')));
      log(await ask(`traceparent: ${'0'.repeat(12_000)}\r\n`));
      log(await ask(`baggage: ${'a=b,'.repeat(3_000)}\r\n`));
      log(await ask(`traceparent: 00-${'1'.repeat(32)}-${'2'.repeat(16)}-01\r\n`.repeat(50)));
      log(await ask('traceparent: \xff\xfe\x80\r\nbaggage: \xff=\x80\r\ntracestate: \xff\r\n'));
      log(await ask('host: b\r\nx-forwarded-for: ,,,\r\nuser-agent: \xff\r\n'));
      log(await raw(url, 'GET http://[::1/?%zz=%zz HTTP/1.1\r\nhost: [[[\r\nconnection: close\r\n\r\n'));
    },
    ['*'],
  ],
  [
    'the answer read by iteration, paused, and destroyed half way',
    async ({ serve, log }) => {
      const url = await serve((_request, response) => void response.end(body));
      const [whole] = (await once(http.get(url), 'response')) as [IncomingMessage];
      log(String((await text(whole)).length));
      const request = http.get(url);
      const [half] = (await once(request, 'response')) as [IncomingMessage];
      half.on('error', (error) => log(codeOf(error)));
      half.destroy();
      await new Promise((resolve) => (request.closed ? resolve(undefined) : request.once('close', resolve)));
      log('closed');
    },
    ['*'],
  ],
];

describe('a program that is traced', () => {
  it.each(scenes)('behaves as one that is not, with a span for each request: %s', async (_name, act, spans) => {
    const plain = await play(act, false);
    const traced = await play(act, true);
    // Which side's turn comes first is chance; each keeps its own order.
    const sides = ({ lines }: Told): (readonly string[])[] => {
      const steady = lines.map((line) => line.replace(/127\.0\.0\.1:\d+/g, 'address'));
      return [
        steady.filter((line) => line.startsWith('server ')),
        steady.filter((line) => !line.startsWith('server ')),
      ];
    };
    expect(sides(traced)).toEqual(sides(plain));
    expect(plain.lines.length).toBeGreaterThan(0);
    if (spans[0] !== '*') expect(traced.spans.map(said).sort()).toEqual(spans);
  });
});
