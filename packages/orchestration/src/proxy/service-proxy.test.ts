import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { eventually, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { ServiceProxy } from './index.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function listening(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function backend(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  return await listening(createServer(handler));
}

/** A server that answers every connection with raw bytes once it got something. */
async function rawBackend(answer: string | ((socket: Socket, text: string) => void)): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('data', (bytes) => {
      if (typeof answer === 'string') socket.write(answer, 'latin1');
      else answer(socket, bytes.toString('latin1'));
    });
  });
  return await listening(server);
}

async function proxyTo(
  ports: readonly number[],
  limits: ConstructorParameters<typeof ServiceProxy>[0] = {},
): Promise<{ readonly proxy: ServiceProxy; readonly port: number }> {
  const proxy = new ServiceProxy(limits);
  closers.push(() => proxy.stop({ graceMs: 100 }));
  const { port } = await proxy.open('web');
  proxy.setShares('web', { by: 'instance', revisions: ['r'] });
  for (const [index, to] of ports.entries())
    proxy.addTarget('web', { instance: `web-${index}`, revision: 'r', port: to });
  return { proxy, port };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

function ask(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string | string[] } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const sent = request({ port, host: '127.0.0.1', agent: false, ...rest }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers, trailers } = response;
        resolve({ status, headers, body: text, trailers });
      });
    });
    sent.on('error', reject);
    if (Array.isArray(body)) for (const piece of body) sent.write(piece);
    sent.end(Array.isArray(body) ? undefined : body);
  });
}

/** Sends bytes as they are and returns everything that comes back until the connection ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.write(text, 'latin1');
  });
}

const echo = (asked: IncomingMessage, response: ServerResponse): void => {
  let body = '';
  asked.on('data', (chunk) => {
    body += chunk;
  });
  asked.on('end', () => {
    const { method, url, headers, rawHeaders } = asked;
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body, trailers: asked.trailers }));
  });
};

describe('ServiceProxy passes on', () => {
  it('method, target, fields and body, and says for whom', async () => {
    const { port } = await proxyTo([await backend(echo)]);
    const headers = { 'x-a': '1', te: 'trailers', connection: 'x-hop', 'x-hop': '2', traceparent: '00-aa-bb-01' };
    const { body } = await ask(port, { method: 'POST', path: '/a?b=c', headers, body: 'hello' });
    const seen = JSON.parse(body);
    expect(seen).toMatchObject({ method: 'POST', url: '/a?b=c', body: 'hello' });
    expect(seen.headers).toMatchObject({
      'x-a': '1',
      traceparent: '00-aa-bb-01',
      host: `127.0.0.1:${port}`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `127.0.0.1:${port}`,
      'content-length': '5',
    });
    expect(seen.headers['x-hop']).toBeUndefined();
    expect(seen.headers['te']).toBeUndefined();
  });

  it('bodies in pieces both ways, with trailers', async () => {
    const target = await backend((asked, response) => {
      response.setHeader('trailer', 'x-sum');
      asked.on('data', (chunk) => response.write(chunk));
      asked.on('end', () => {
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      });
    });
    const { port } = await proxyTo([target]);
    const pieces = Array.from({ length: 50 }, (_, index) => String(index).repeat(5_000));
    const { body, trailers } = await ask(port, { method: 'POST', body: pieces });
    expect(body).toBe(pieces.join(''));
    expect(trailers).toEqual({ 'x-sum': '42' });
  });

  it('large answers to slow readers without keeping them in memory', async () => {
    const size = 30 * 1024 * 1024;
    const target = await backend((_asked, response) => {
      response.setHeader('content-length', size);
      response.end(Buffer.alloc(size, 'x'));
    });
    const { port } = await proxyTo([target]);
    const before = process.memoryUsage().arrayBuffers;
    const read = await new Promise<number>((resolve, reject) => {
      request({ port, host: '127.0.0.1', agent: false }, (response) => {
        let seen = 0;
        let paused = false;
        response.on('data', (chunk: Buffer) => {
          seen += chunk.length;
          if (paused || seen < 1_000_000) return;
          paused = true;
          response.pause();
          setTimeout(() => response.resume(), 150);
        });
        response.on('end', () => resolve(seen));
        response.on('error', reject);
      }).end();
    });
    expect(read).toBe(size);
    // The backend of this test holds one copy itself.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2.2 * size);
  });

  it('answers without bodies, interim answers and early ends', async () => {
    const target = await backend((asked, response) => {
      if (asked.url === '/hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.statusCode = asked.url === '/304' ? 304 : 200;
      response.setHeader('content-length', 3);
      response.end(asked.method === 'HEAD' || asked.url === '/304' ? undefined : 'abc');
    });
    const { port } = await proxyTo([target]);
    expect(await ask(port, { method: 'HEAD' })).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '3' },
    });
    expect(await ask(port, { path: '/304' })).toMatchObject({ status: 304, body: '' });
    const hints = await raw(port, 'GET /hints HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    expect(hints).toMatch(/^HTTP\/1.1 103 Early Hints\r\nLink: <\/style.css>; rel=preload\r\n\r\nHTTP\/1.1 200 OK/i);
    const { body } = await ask(port, { method: 'POST', headers: { expect: '100-continue' }, body: 'x' });
    expect(body).toBe('abc');
  });

  it('events as they come, before the answer is whole', async () => {
    let finish: () => void = () => undefined;
    const target = await backend((_asked, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      response.write('data: 1\n\n');
      finish = () => response.end();
    });
    const { port } = await proxyTo([target]);
    const first = await new Promise<string>((resolve) => {
      request({ port, host: '127.0.0.1', agent: false }, (response) => {
        response.once('data', (chunk) => resolve(String(chunk)));
      }).end();
    });
    expect(first).toBe('data: 1\n\n');
    finish();
  });

  it('websockets, and the end of either side', async () => {
    const target = await rawBackend((socket, text) => {
      if (text.startsWith('GET')) {
        expect(text).toMatch(/upgrade: websocket/i);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome');
      } else socket.write(text.toUpperCase());
    });
    const { port, proxy } = await proxyTo([target], { limits: { upgradeDrainMs: 50 } });
    const socket = connect({ port, host: '127.0.0.1' });
    let seen = '';
    socket.on('data', (chunk) => {
      seen += chunk.toString();
    });
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    await eventually(() => seen.includes('welcome'));
    socket.write('hello');
    await eventually(() => seen.endsWith('HELLO'));
    await proxy.drainTarget('web', 'web-0', 1_000);
    await closed;
  });

  it('a request for any other protocol as a plain one', async () => {
    const { port } = await proxyTo([await backend(echo)]);
    const answer = await raw(port, 'GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
    expect(answer).not.toMatch(/"upgrade"/);
  });
});

describe('ServiceProxy refuses', () => {
  it('requests that two readers could understand differently', async () => {
    const { port, proxy } = await proxyTo([await backend(echo)]);
    const start = 'POST / HTTP/1.1\r\nhost: a\r\n';
    const bad = [
      `${start}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
      `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${start}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      `${start}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n`,
      `${start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`,
      `${start}transfer-encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n`,
      `${start}content-length: -1\r\n\r\n`,
      `${start}host: b\r\ncontent-length: 0\r\n\r\n`,
      `${start}x-a: 1\r\n folded\r\n\r\n`,
      'POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
      'GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n',
    ];
    for (const text of bad) {
      const answer = await raw(port, text);
      expect(answer, JSON.stringify(text)).toMatch(/^HTTP\/1.1 400 /);
      // One answer and no second one: nothing of it was taken for another request.
      expect(answer.match(/HTTP\/1.1/g)).toHaveLength(1);
    }
    expect(proxy.stats('web').failed).toBeGreaterThan(0);
  });

  it('fields over the limit, methods that make tunnels, too many requests', async () => {
    const target = await backend(() => undefined);
    const { port } = await proxyTo([target], { limits: { maxInFlight: 1 } });
    expect(await raw(port, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
    expect(await raw(port, 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n')).toMatch(/^HTTP\/1.1 405 /);
    const first = request({ port, host: '127.0.0.1', agent: false });
    first.on('error', () => undefined);
    first.end();
    await eventually(async () => (await ask(port)).status === 503);
    expect((await ask(port)).headers['retry-after']).toBe('1');
    first.destroy();
  });

  it('answers that are malformed, cut or never come, and counts each by its reason', async () => {
    const cases = [
      ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 502, 'invalid-response'],
      ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 502, 'invalid-response'],
      ['nonsense\r\n\r\n', 502, 'invalid-response'],
    ] as const;
    for (const [answer, status, reason] of cases) {
      const { port, proxy } = await proxyTo([await rawBackend(answer)]);
      expect(await ask(port)).toMatchObject({ status, headers: { 'x-mnops-proxy-failure': reason } });
      const selection = {
        metric: 'mnops_proxy_failed_requests_total',
        reduce: 'increase',
        windowMs: 10_000,
        by: ['reason'],
      } as const;
      expect(await proxy.metricSource.query(selection, testCall())).toMatchObject([{ labels: { reason }, value: 1 }]);
    }
    const { port } = await proxyTo([await rawBackend(() => undefined)], { limits: { answerTimeoutMs: 10 } });
    expect(await ask(port)).toMatchObject({ status: 504 });
  });
});

describe('ServiceProxy', () => {
  it('sends a request again only where that is safe', async () => {
    let connections = 0;
    const dying = await listening(
      createTcpServer((socket) => {
        connections += 1;
        socket.on('data', () => socket.destroy());
      }),
    );
    const good = await backend(echo);
    const { port } = await proxyTo([dying, good]);
    for (let count = 0; count < 6; count += 1) expect((await ask(port)).status).toBe(200);
    expect(connections).toBeGreaterThan(0);
    const posts = await Promise.all(Array.from({ length: 6 }, () => ask(port, { method: 'POST', body: 'x' })));
    expect(posts.some(({ status }) => status === 502)).toBe(true);
  });

  it('goes past an instance that takes no connections, with a body too', async () => {
    const gone = createTcpServer();
    const closedPort = await new Promise<number>((resolve) => {
      gone.listen(0, '127.0.0.1', () => {
        const { port } = gone.address() as AddressInfo;
        gone.close(() => resolve(port));
      });
    });
    const { port, proxy } = await proxyTo([closedPort, await backend(echo)]);
    for (let count = 0; count < 6; count += 1) {
      expect((await ask(port, { method: 'POST', body: 'x' })).status).toBe(200);
    }
    expect(proxy.stats('web').failed).toBe(0);
  });

  it('does not trip over a connection that was closed while it was idle', async () => {
    const server = createServer(echo);
    server.keepAliveTimeout = 1;
    const { port, proxy } = await proxyTo([await listening(server)]);
    for (let count = 0; count < 30; count += 1) {
      const method = count % 2 === 0 ? 'GET' : 'DELETE';
      expect((await ask(port, { method })).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, count % 4));
    }
    expect(proxy.stats('web').failed).toBe(0);
  });

  it('ends the request to the instance when the client goes away', async () => {
    let ended = false;
    const target = await backend((asked, response) => {
      response.write('begun');
      asked.on('close', () => {
        ended = true;
      });
    });
    const { port, proxy } = await proxyTo([target]);
    const sent = request({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.on('error', () => undefined);
      response.once('data', () => sent.destroy());
    });
    sent.on('error', () => undefined);
    sent.end();
    await eventually(() => ended);
    await eventually(() => proxy.stats('web').inFlight === 0);
    expect(proxy.stats('web')).toMatchObject({ aborted: 1, failed: 0 });
  });

  it('drains: answers what runs, takes nothing new, then closes', async () => {
    let answer: () => void = () => undefined;
    const slow = await backend((_asked, response) => {
      answer = () => response.end('slow');
    });
    const { port, proxy } = await proxyTo([slow]);
    const running = ask(port);
    await eventually(() => proxy.stats('web').inFlight === 1);
    const drained = proxy.drainTarget('web', 'web-0', 5_000);
    expect((await ask(port)).status).toBe(503);
    answer();
    expect((await running).body).toBe('slow');
    expect(await drained).toBe(0);
  });

  it('holds requests until there is an instance, within bounds', async () => {
    const { port, proxy } = await proxyTo([], { limits: { maxHeld: 2, holdMs: 10 } });
    proxy.setHold('web', true);
    const held = [ask(port), ask(port, { method: 'POST', body: 'kept' })];
    await eventually(() => proxy.stats('web').holding === 2);
    expect((await ask(port)).headers['x-mnops-proxy-failure']).toBe('hold-limit');
    proxy.addTarget('web', { instance: 'web-0', revision: 'r', port: await backend(echo) });
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    proxy.removeTarget('web', 'web-0');
    expect((await ask(port)).headers['x-mnops-proxy-failure']).toBe('hold-timeout');
  });

  it('shares out exactly and acts at once on a weight of 0', async () => {
    const { proxy, port } = await proxyTo([]);
    for (const revision of ['old', 'new']) {
      const target = await backend((_asked, response) => void response.end(revision));
      proxy.addTarget('web', { instance: revision, revision, port: target });
    }
    proxy.setShares('web', { by: 'weight', weights: { old: 90, new: 10 } });
    const answers: string[] = [];
    for (let count = 0; count < 200; count += 1) answers.push((await ask(port)).body);
    for (let start = 0; start <= 100; start += 1) {
      expect(answers.slice(start, start + 100).filter((body) => body === 'new')).toHaveLength(10);
    }
    proxy.setShares('web', { by: 'weight', weights: { old: 100, new: 0 } });
    for (let count = 0; count < 20; count += 1) expect((await ask(port)).body).toBe('old');
  });
});
