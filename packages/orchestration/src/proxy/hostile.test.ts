import { createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ServiceProxy } from './index.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

async function proxyTo(to: number): Promise<number> {
  const proxy = new ServiceProxy({});
  closers.push(() => proxy.stop({ graceMs: 100 }));
  const { port } = await proxy.open('web');
  proxy.setShares('web', { by: 'instance', revisions: ['r'] });
  proxy.addTarget('web', { instance: 'web-0', revision: 'r', port: to });
  return port;
}

function lengthOf(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', agent: false }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

describe('the proxy under hostile or unlucky traffic', () => {
  it('uses a connection again after an answer that its client was slow to take', async () => {
    const server = createServer((_request, response) => {
      response.write('x'.repeat(200_000));
      response.end('y'.repeat(200_000));
    });
    const port = await proxyTo(await portOf(server));
    for (let index = 0; index < 8; index++) expect(await lengthOf(port)).toBe(400_000);
    server.closeAllConnections();
  });

  it('drops an early hint that is malformed, and gives the answer', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () =>
        socket.write(
          'HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        ),
      );
    });
    const port = await proxyTo(await portOf(server));
    expect(await lengthOf(port)).toBe(2);
  });

  it('frames a request by all of its fields, however many there are', async () => {
    const bodies: string[] = [];
    const server = createServer({ maxHeaderSize: 65_536 }, (incoming, response) => {
      let body = '';
      incoming.on('data', (chunk: Buffer) => {
        body += chunk;
      });
      incoming.on('end', () => {
        bodies.push(body);
        response.end('ok');
      });
    });
    server.maxHeadersCount = 0;
    const port = await proxyTo(await portOf(server));
    const many = Array.from({ length: 1_010 }, (_, index) => `a${index}:1\r\n`).join('');
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${many}Content-Length: 5\r\n\r\nhello`),
      );
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(bodies).toEqual(['hello']);
    server.closeAllConnections();
  });
});
