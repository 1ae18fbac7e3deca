import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createGunzip } from 'node:zlib';

const { decode } = createRequire(import.meta.url)('@msgpack/msgpack') as { decode(bytes: Uint8Array): unknown };

/** Receives what tracers send, by each one's own protocol, and counts the spans. */
export interface ExitReceiver {
  readonly url: string;
  /** Spans whose data came, each counted once. */
  readonly count: number;
  up(): Promise<void>;
  down(): Promise<void>;
}

/** Finds a free port of loopback; until `up()` it refuses connections. */
export async function exitReceiver(): Promise<ExitReceiver> {
  const seen = new Set<string>();
  let port = 0;
  let server: Server | undefined;
  const up = async (): Promise<void> => {
    if (server !== undefined) return;
    server = createServer((request, response) => void receive(request, response, seen));
    await once(server.listen(port, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const down = async (): Promise<void> => {
    const ending = server;
    server = undefined;
    if (ending === undefined) return;
    ending.closeAllConnections();
    await new Promise((resolve) => ending.close(resolve));
  };
  await up();
  await down();
  return {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    get count() {
      return seen.size;
    },
    up,
    down,
  };
}

async function receive(request: IncomingMessage, response: ServerResponse, seen: Set<string>): Promise<void> {
  const { url = '' } = request;
  const isPacked = request.headers['content-encoding'] === 'gzip';
  const body = isPacked ? request.pipe(createGunzip()) : request;
  const isIntake = url.startsWith('/intake/');
  const chunks: Buffer[] = [];
  let rest = '';
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (isIntake) rest = countLines(rest + chunk.toString('utf8'), seen);
      else chunks.push(chunk);
    }
  } catch {
    // The process ended in the middle of its request: what came until then counts.
  }
  const bytes = Buffer.concat(chunks);
  if (url.endsWith('/v1/traces')) countJson(bytes, seen);
  else if (url === '/v0.4/traces') countAgentSpans(bytes, seen);
  response.writeHead(isIntake ? 202 : 200, { 'content-type': 'application/json' }).end('{"version":"8.15.0"}');
}

/** Elastic's lines, as they come: a request is open for seconds. */
function countLines(text: string, seen: Set<string>): string {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  for (const line of lines) {
    const { transaction } = JSON.parse(line) as { transaction?: { id: string } };
    if (transaction !== undefined) seen.add(transaction.id);
  }
  return rest;
}

function countJson(bytes: Buffer, seen: Set<string>): void {
  for (const [, id] of bytes.toString('utf8').matchAll(/"spanId":"([0-9a-f]{16})"/g))
    if (id !== undefined) seen.add(id);
}

function countAgentSpans(bytes: Buffer, seen: Set<string>): void {
  for (const span of (decode(bytes) as { span_id: number | bigint }[][]).flat()) seen.add(String(span.span_id));
}
