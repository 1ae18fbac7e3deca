import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ServiceProxy, type ServiceProxyOptions } from './index.js';

/** A client's end of a connection, with everything that came over it. */
export interface WireClient {
  readonly socket: Socket;
  readonly received: string;
  /** Whether the other side said that nothing more comes. */
  readonly ended: boolean;
  readonly closed: boolean;
  /** Code of the error that ended it. */
  readonly error: string | undefined;
}

/** Raw servers, raw clients and proxies of one test; `close` ends all of them. */
export class Wire {
  readonly #closers: (() => Promise<unknown> | unknown)[] = [];

  /** A server that gives each connection to `take`. Returns its port. */
  async server(take: (socket: Socket) => void): Promise<number> {
    return this.listen(createServer({ allowHalfOpen: true }, take));
  }

  async listen(server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#closers.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as AddressInfo).port;
  }

  /** A proxy of service `web` over instances `web-0`, `web-1`, … of one revision. */
  async proxy(
    targets: readonly number[],
    options: ServiceProxyOptions = {},
  ): Promise<{ readonly proxy: ServiceProxy; readonly port: number }> {
    const proxy = new ServiceProxy(options);
    this.#closers.push(() => proxy.stop({ graceMs: 1 }));
    const { port } = await proxy.open('web');
    proxy.setShares('web', { by: 'instance', revisions: ['r'] });
    for (const [index, target] of targets.entries())
      proxy.addTarget('web', { instance: `web-${index}`, revision: 'r', port: target });
    return { proxy, port };
  }

  /** Connects and sends `text` as it is. */
  client(port: number, text = ''): WireClient {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const seen = { socket, received: '', ended: false, closed: false, error: undefined as string | undefined };
    socket.on('data', (chunk) => {
      seen.received += chunk.toString('latin1');
    });
    socket.on('end', () => {
      seen.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      seen.error = error.code;
    });
    socket.on('close', () => {
      seen.closed = true;
    });
    if (text !== '') socket.write(text, 'latin1');
    this.#closers.push(() => socket.destroy());
    return seen;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}
