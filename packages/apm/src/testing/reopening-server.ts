import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of loopback whose port stays the same while it is up or down. */
export interface ReopeningServer {
  readonly url: string;
  up(): Promise<void>;
  /** From now on the port refuses connections, and those that are open end. */
  down(): Promise<void>;
}

/** Finds a free port of loopback; until `up()` it refuses connections. */
export async function reopeningServer(listener: RequestListener): Promise<ReopeningServer> {
  let port = 0;
  let server: Server | undefined;
  async function up(): Promise<void> {
    if (server !== undefined) return;
    server = createServer(listener);
    await once(server.listen(port, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  }
  async function down(): Promise<void> {
    const ending = server;
    server = undefined;
    if (ending === undefined) return;
    ending.closeAllConnections();
    await new Promise((resolve) => ending.close(resolve));
  }
  await up();
  await down();
  return { url: `http://127.0.0.1:${port}`, up, down };
}
