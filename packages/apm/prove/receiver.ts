import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { otlpHandler } from '../src/providers/otlp/handler.js';

/** A receiver of OTLP that counts; while it is down, its port refuses connections. */
export interface CountingReceiver {
  readonly url: string;
  /** How often each span came, by its id. */
  readonly seen: ReadonlyMap<string, number>;
  /** Names of spans that are not as they were made: those not beginning with `work`. */
  readonly wrong: readonly string[];
  up(): Promise<void>;
  down(): Promise<void>;
}

/** Finds a free port of loopback; `up()` begins to listen there. */
export async function countingReceiver(): Promise<CountingReceiver> {
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  const handler = otlpHandler({
    ingest: async (spans) => {
      for (const { spanId, name, attributes } of spans) {
        seen.set(spanId, (seen.get(spanId) ?? 0) + 1);
        if (name !== `work ${attributes['index']}`) wrong.push(name);
      }
      return { rejected: 0, reasons: [] };
    },
  });
  let port = 0;
  let server: Server | undefined;
  async function up(): Promise<void> {
    if (server !== undefined) return;
    server = createServer(handler);
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
  return {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    seen,
    wrong,
    up,
    down,
  };
}
