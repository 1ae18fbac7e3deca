import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { eventually, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { ServiceProxy } from './index.js';
import { Wire } from './wire.fake.js';

const wire = new Wire();
afterEach(() => wire.close());

const asked = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const opened = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

/** An instance that opens every websocket. */
async function instance(): Promise<{ readonly target: number; readonly sockets: Socket[]; readonly heads: string[] }> {
  const sockets: Socket[] = [];
  const heads: string[] = [];
  const target = await wire.server((socket) => {
    socket.once('data', (chunk) => {
      heads.push(chunk.toString('latin1'));
      sockets.push(socket);
      socket.write(opened);
    });
  });
  return { target, sockets, heads };
}

async function open(limits: ConstructorParameters<typeof ServiceProxy>[0] = {}) {
  const { target, sockets } = await instance();
  const { proxy, port } = await wire.proxy([target], limits);
  const client = wire.client(port, asked);
  await eventually(() => client.received === opened);
  return { proxy, port, client, upstream: sockets[0]! };
}

const settled = (proxy: ServiceProxy): Promise<void> =>
  eventually(() => proxy.stats('web').inFlight === 0 && proxy.stats('web').holding === 0);

describe('a websocket', () => {
  it('waits for an instance as any request does', async () => {
    const { target, heads } = await instance();
    const { proxy, port } = await wire.proxy([]);
    proxy.setHold('web', true);
    const client = wire.client(port, `${asked}early`);
    await eventually(() => proxy.stats('web').holding === 1);
    proxy.addTarget('web', { instance: 'web-0', revision: 'r', port: target });
    await eventually(() => client.received === opened);
    expect(heads[0]).toMatch(/^GET \/chat HTTP\/1\.1\r\n[\s\S]*connection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  });

  it('is not waited for once its client went away', async () => {
    const { proxy, port } = await wire.proxy([]);
    proxy.setHold('web', true);
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const client = wire.client(port, asked);
      await eventually(() => proxy.stats('web').holding === 1);
      client.socket[leave]();
      await settled(proxy);
    }
    expect(proxy.stats('web')).toMatchObject({ aborted: 2, failed: 0 });
  });

  it('is in flight until it ends, within the limit, and one of the figures', async () => {
    const { proxy, port, client } = await open({ limits: { maxInFlight: 1 } });
    expect(proxy.stats('web')).toMatchObject({ inFlight: 1, answered: 1 });
    const second = wire.client(port, asked);
    await eventually(() => second.ended);
    expect(second.received).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-mnops-proxy-failure: in-flight-limit/);
    client.socket.resetAndDestroy();
    await settled(proxy);
    const counted = await proxy.metricSource.query(
      {
        metric: 'http_server_request_duration_seconds',
        reduce: 'increase',
        windowMs: 10_000,
        by: ['status_class', 'revision'],
      },
      testCall(),
    );
    expect(counted).toMatchObject([{ labels: { status_class: '1xx', revision: 'r' }, value: 1 }]);
  });

  it('is refused by a hold that is full, an instance that is silent and one that refuses', async () => {
    const { proxy, port } = await wire.proxy([], { limits: { maxHeld: 0, answerTimeoutMs: 10 } });
    proxy.setHold('web', true);
    const held = wire.client(port, asked);
    await eventually(() => held.ended);
    expect(held.received).toMatch(/^HTTP\/1\.1 503 [\s\S]*hold-limit/);
    const silent = await wire.server((socket) => socket.resume());
    proxy.addTarget('web', { instance: 'silent', revision: 'r', port: silent });
    const waiting = wire.client(port, asked);
    await eventually(() => waiting.ended);
    expect(waiting.received).toMatch(/^HTTP\/1\.1 504 /);
    proxy.removeTarget('web', 'silent');
    const refusing = await wire.listen(createServer((_request, response) => void response.writeHead(403).end('no')));
    proxy.addTarget('web', { instance: 'refusing', revision: 'r', port: refusing });
    const refused = wire.client(port, `${asked}${'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'}`);
    await eventually(() => refused.ended);
    expect(refused.received).toMatch(/^HTTP\/1\.1 403 /);
    expect(refused.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(proxy.stats('web')).toMatchObject({ inFlight: 0, failed: 2, answered: 1 });
  });

  it('is not opened by an answer that opens something else', async () => {
    for (const protocol of ['Upgrade: h2c\r\n', '']) {
      const target = await wire.server((socket) =>
        socket.once('data', () => socket.write(`HTTP/1.1 101 Switching Protocols\r\n${protocol}\r\n`)),
      );
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, asked);
      await eventually(() => client.ended);
      expect(client.received).toMatch(/^HTTP\/1\.1 502 [\s\S]*invalid-response/);
      expect(proxy.stats('web')).toMatchObject({ inFlight: 0, failed: 1 });
    }
  });

  it('goes to the next instance when one takes no connections', async () => {
    const { target } = await instance();
    const { proxy, port } = await wire.proxy([1, target]);
    for (let count = 0; count < 3; count += 1) {
      const client = wire.client(port, asked);
      await eventually(() => client.received === opened);
    }
    expect(proxy.stats('web')).toMatchObject({ inFlight: 3, answered: 3, failed: 0 });
  });

  it('ends at its own deadline when its instance is drained, and is not counted as cut', async () => {
    const { proxy, client } = await open({ limits: { upgradeDrainMs: 20 } });
    expect(await proxy.drainTarget('web', 'web-0', 600_000)).toBe(0);
    await eventually(() => client.ended || client.closed);
    await settled(proxy);
  });

  it('lets a drain end as soon as it ends itself', async () => {
    const { proxy, client } = await open({ limits: { upgradeDrainMs: 600_000 } });
    const drained = proxy.drainTarget('web', 'web-0', 600_000);
    client.socket.resetAndDestroy();
    expect(await drained).toBe(0);
  });

  it('passes on the end of one direction and leaves the other open', async () => {
    const { proxy, client, upstream } = await open();
    let got = '';
    let ended = false;
    upstream.on('data', (chunk) => {
      got += chunk.toString();
    });
    upstream.on('end', () => {
      ended = true;
    });
    client.socket.end('last words');
    await eventually(() => ended);
    expect(got).toBe('last words');
    expect(proxy.stats('web').inFlight).toBe(1);
    upstream.end('answer to them');
    await eventually(() => client.ended);
    expect(client.received).toBe(`${opened}answer to them`);
    await settled(proxy);
  });

  it('passes on the end of the instance, and takes what the client says after it', async () => {
    const { proxy, client, upstream } = await open();
    let got = '';
    upstream.on('data', (chunk) => {
      got += chunk.toString();
    });
    upstream.end();
    await eventually(() => client.ended);
    client.socket.end('still here');
    await eventually(() => got === 'still here');
    await settled(proxy);
  });

  it('is closed when one side has ended and the other never does', async () => {
    const { proxy, client } = await open({ limits: { answerTimeoutMs: 10 } });
    client.socket.end();
    await eventually(() => client.closed);
    await settled(proxy);
  });

  it('resets one side when the other is reset, and nothing is left', async () => {
    const first = await open();
    let error: string | undefined;
    first.upstream.on('error', (cause: NodeJS.ErrnoException) => {
      error = cause.code;
    });
    first.client.socket.resetAndDestroy();
    await eventually(() => error === 'ECONNRESET');
    await settled(first.proxy);
    const second = await open();
    second.upstream.resetAndDestroy();
    await eventually(() => second.client.error === 'ECONNRESET');
    await settled(second.proxy);
  });

  it('makes either side wait for the other, and loses nothing', async () => {
    const { client, upstream } = await open();
    const piece = Buffer.alloc(64 * 1024, 'x');
    const total = 64 * 1024 * 1024;
    const ways = [
      [client.socket, upstream],
      [upstream, client.socket],
    ] as const;
    for (const [from, to] of ways) {
      to.removeAllListeners('data');
      to.pause();
      // Writes until the way is full: what the sockets of the system and of the proxy take is far less than all of it.
      let sent = 0;
      let full = false;
      while (!full && sent < total) {
        if (!from.write(piece)) {
          full = await Promise.race([
            new Promise<false>((resolve) => from.once('drain', () => resolve(false))),
            new Promise<true>((resolve) => setTimeout(() => resolve(true), 500)),
          ]);
        }
        sent += piece.length;
      }
      expect(sent).toBeLessThan(total);
      let got = 0;
      to.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      to.resume();
      await eventually(() => got === sent);
    }
  });

  it('does not get in between the answer to the request before it', async () => {
    const got: string[] = [];
    const target = await wire.server((socket) => {
      socket.on('data', (chunk) => void got.push(chunk.toString('latin1')));
    });
    const { proxy, port } = await wire.proxy([target]);
    const client = wire.client(port, `GET /slow HTTP/1.1\r\nHost: a\r\n\r\n${asked}`);
    await eventually(() => client.closed || client.ended);
    expect(client.received).toBe('');
    expect(got.join('')).not.toContain('/chat');
    await settled(proxy);
  });
});

describe('a request for another protocol', () => {
  it('goes on as a plain one, with its body, on a connection that stays', async () => {
    const bodies: string[] = [];
    const target = await wire.listen(
      createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          bodies.push(`${request.url} ${body} ${request.headers.upgrade}`);
          response.end('ok');
        });
      }),
    );
    const { proxy, port } = await wire.proxy([target]);
    const fields = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n';
    const client = wire.client(port);
    for (let count = 1; count <= 3; count += 1) {
      client.socket.write(`POST /${count} HTTP/1.1\r\n${fields}hel`);
      await eventually(() => proxy.stats('web').inFlight === 1);
      client.socket.write('lo');
      await eventually(() => client.received.match(/ok$/g) !== null && bodies.length === count);
      client.socket.write(`GET /${count}/again HTTP/1.1\r\nHost: a\r\n\r\n`);
      await eventually(() => proxy.stats('web').answered === 2 * count);
      bodies.pop();
      await eventually(() => client.received.match(/HTTP\/1\.1 200/g)?.length === 2 * count);
    }
    expect(bodies).toEqual(['/1 hello undefined', '/2 hello undefined', '/3 hello undefined']);
    expect(proxy.stats('web')).toMatchObject({ answered: 6, failed: 0, inFlight: 0 });
  });
});

describe('a connection that is given up', () => {
  it('is closed though its client stays, and its errors end nothing', async () => {
    const { port } = await wire.proxy([]);
    for (const text of ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 'nonsense\r\n\r\n', asked]) {
      const staying = wire.client(port, text);
      const resetting = wire.client(port, text);
      await eventually(() => resetting.ended);
      resetting.socket.resetAndDestroy();
      await eventually(() => staying.ended);
      // Only a connection that is gone answers with a reset.
      await eventually(() => {
        if (!staying.socket.destroyed) staying.socket.write('x');
        return staying.closed;
      });
    }
  });
});
