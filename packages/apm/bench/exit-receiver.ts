import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { createGunzip } from 'node:zlib';
import { type ReopeningServer, reopeningServer } from '../src/testing/reopening-server.js';

const { decode } = createRequire(import.meta.url)('@msgpack/msgpack') as { decode(bytes: Uint8Array): unknown };

/** Receives what tracers send, by each one's own protocol, and counts the spans. */
export interface ExitReceiver extends ReopeningServer {
  /** Spans whose data came, each counted once. */
  readonly count: number;
}

/** Finds a free port of loopback; until `up()` it refuses connections. */
export async function exitReceiver(): Promise<ExitReceiver> {
  const seen = new Set<string>();
  const server = await reopeningServer((request, response) => void receive(request, response, seen));
  return {
    ...server,
    get count() {
      return seen.size;
    },
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
