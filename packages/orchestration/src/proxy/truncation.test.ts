import type { Socket } from 'node:net';
import { eventually } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { Wire } from './wire.fake.js';

const wire = new Wire();
afterEach(() => wire.close());

/** An instance that begins an answer; the test ends it. */
async function begun(head: string): Promise<{ readonly target: number; readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const target = await wire.server((socket) => {
    socket.once('data', () => {
      socket.write(`${head}\r\n\r\n`);
      socket.write('part');
      sockets.push(socket);
    });
  });
  return { target, sockets };
}

const answers = ['HTTP/1.1 200 OK', 'HTTP/1.0 200 OK', 'HTTP/1.1 200 OK\r\nconnection: close'];

describe('an answer that only its end delimits', () => {
  for (const head of answers) {
    it(`is cut for the client when the instance resets: ${JSON.stringify(head)}`, async () => {
      const { target, sockets } = await begun(head);
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await eventually(() => client.received.includes('part'));
      sockets[0]?.resetAndDestroy();
      await eventually(() => client.ended || client.closed);
      expect(client.received).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(proxy.stats('web')).toMatchObject({ answered: 0, failed: 1, aborted: 0, inFlight: 0 });
    });

    it(`is reset for a client of HTTP/1.0, that could not tell otherwise: ${JSON.stringify(head)}`, async () => {
      const { target, sockets } = await begun(head);
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, 'GET / HTTP/1.0\r\nhost: a\r\n\r\n');
      await eventually(() => client.received.includes('part'));
      sockets[0]?.resetAndDestroy();
      await eventually(() => client.closed);
      expect(client.error).toBe('ECONNRESET');
      expect(proxy.stats('web')).toMatchObject({ answered: 0, failed: 1, inFlight: 0 });
    });

    it(`is whole when the instance ends it: ${JSON.stringify(head)}`, async () => {
      const { target, sockets } = await begun(head);
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await eventually(() => client.received.includes('part'));
      sockets[0]?.end();
      await eventually(() => client.received.endsWith('\r\n0\r\n\r\n'));
      expect(proxy.stats('web')).toMatchObject({ answered: 1, failed: 0, inFlight: 0 });
    });
  }

  it('is cut when its instance is removed', async () => {
    const { target } = await begun('HTTP/1.1 200 OK');
    const { proxy, port } = await wire.proxy([target]);
    const client = wire.client(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => client.received.includes('part'));
    proxy.removeTarget('web', 'web-0');
    await eventually(() => client.ended || client.closed);
    expect(client.received).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(proxy.stats('web')).toMatchObject({ answered: 0, failed: 1 });
  });
});
