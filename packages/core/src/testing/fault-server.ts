import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonValue } from '../spi/base.js';

/** One request as the server received it. */
export interface RecordedRequest {
  readonly method: string;
  /** Path with query, as on the wire. */
  readonly url: string;
  /** Values by lower-case name; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The body as text. */
  text(): string;
  /** What the handler answered, once it has; absent for a scripted fault. */
  answer?: ScriptedReply | undefined;
}

/** What the server answers. An object or array as body is sent as JSON. */
export interface ScriptedReply {
  /** Default 200. */
  readonly status?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | JsonValue | undefined;
}

/**
 * How an exchange goes wrong. `hang`: no answer; `reset`: connection destroyed before an answer; `truncated`: half of
 * the body, then the connection ends; `slow`: a byte of the body every 20 ms; `oversized`: a body without end;
 * `wrong-length`: `content-length` is smaller than the body; `garbage`: bytes that are not HTTP.
 */
export type FaultKind = 'hang' | 'reset' | 'truncated' | 'slow' | 'oversized' | 'wrong-length' | 'garbage';

/** One scripted exchange: a reply in place of the handler's, or a fault. With `afterHandling` the handler runs first, so the request took effect. */
export type Fault = FaultKind | ScriptedReply | { readonly kind: FaultKind; readonly afterHandling?: boolean };

/** What a contract suite needs to make a provider's back end fail. */
export interface FaultScript {
  /** Scripts the next exchange, or several in order. Afterwards the server behaves again. */
  next(fault: Fault | readonly Fault[]): void;
  /** Every request received so far. */
  readonly requests: readonly RecordedRequest[];
}

/** An HTTP server on loopback that fails as told. */
export interface FaultServer extends FaultScript {
  /** Base address without a slash at its end, such as `http://127.0.0.1:40123`. */
  readonly url: string;
  /** Says how requests without a scripted fault are answered. Default: status 200 with `{}`. */
  handler(answer: (request: RecordedRequest) => ScriptedReply | Promise<ScriptedReply>): void;
  /** Forgets recorded requests and scripted faults. */
  reset(): void;
  /** Ends every connection and the server; a second call does nothing. */
  close(): Promise<void>;
}

/** Starts an HTTP server on a free loopback port that answers as scripted, faults included. */
export async function faultServer(): Promise<FaultServer> {
  const requests: RecordedRequest[] = [];
  const script: Fault[] = [];
  let answer: (request: RecordedRequest) => ScriptedReply | Promise<ScriptedReply> = () => ({ body: {} });

  const server = createServer((incoming, outgoing) => {
    // A destroyed connection is often the point of a test.
    outgoing.on('error', () => undefined);
    void serve(incoming, outgoing).catch((error: unknown) => {
      outgoing.statusCode = 500;
      outgoing.end(`handler failed: ${String(error)}`);
    });
  });

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await recorded(incoming);
    if (request === undefined) return;
    requests.push(request);
    const fault = script.shift();
    if (fault === undefined) {
      request.answer = await answer(request);
      return reply(outgoing, request.answer);
    }
    if (typeof fault === 'object' && !('kind' in fault)) return reply(outgoing, fault);
    const { kind, afterHandling = false } = typeof fault === 'string' ? { kind: fault } : fault;
    const needsReply = kind === 'truncated' || kind === 'slow' || kind === 'wrong-length';
    const normal = needsReply || afterHandling ? await answer(request) : {};
    fail(kind, outgoing, normal);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    next: (fault) => void script.push(...(Array.isArray(fault) ? (fault as readonly Fault[]) : [fault as Fault])),
    handler: (next) => {
      answer = next;
    },
    reset: () => {
      requests.length = 0;
      script.length = 0;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function recorded(incoming: IncomingMessage): Promise<RecordedRequest | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return undefined; // the client went away in the middle of its request
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
  }
  const body = Buffer.concat(chunks);
  return { method: incoming.method ?? '', url: incoming.url ?? '', headers, body, text: () => body.toString('utf8') };
}

function encoded(answer: ScriptedReply): { headers: Record<string, string>; bytes: Buffer } {
  const { body } = answer;
  const headers: Record<string, string> = { ...answer.headers };
  if (body === undefined) return { headers, bytes: Buffer.alloc(0) };
  if (typeof body === 'string') return { headers, bytes: Buffer.from(body) };
  if (body instanceof Uint8Array) return { headers, bytes: Buffer.from(body) };
  if (!Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')) {
    headers['content-type'] = 'application/json';
  }
  return { headers, bytes: Buffer.from(JSON.stringify(body)) };
}

function reply(outgoing: ServerResponse, answer: ScriptedReply): void {
  const { headers, bytes } = encoded(answer);
  const status = answer.status ?? 200;
  const bodiless = status === 204 || status === 304;
  const named = Object.keys(headers).map((name) => name.toLowerCase());
  if (!bodiless && !named.includes('content-length') && !named.includes('transfer-encoding')) {
    headers['content-length'] = String(bytes.length);
  }
  outgoing.writeHead(status, headers);
  outgoing.end(bodiless ? undefined : bytes);
}

function fail(kind: FaultKind, outgoing: ServerResponse, normal: ScriptedReply): void {
  const { headers, bytes } = encoded(normal);
  const body = bytes.length > 1 ? bytes : Buffer.from('{"partial":"answer"}');
  const status = normal.status ?? 200;
  switch (kind) {
    case 'hang':
      return;
    case 'reset':
      outgoing.socket?.resetAndDestroy();
      return;
    case 'garbage':
      outgoing.socket?.end('this is not HTTP\r\n\r\n');
      return;
    case 'truncated':
      outgoing.writeHead(status, { ...headers, 'content-length': String(body.length) });
      outgoing.write(body.subarray(0, Math.floor(body.length / 2)), () => outgoing.socket?.end());
      return;
    case 'wrong-length': {
      const half = String(Math.floor(body.length / 2));
      const lines = Object.entries({ ...headers, 'content-length': half }).map(([name, value]) => `${name}: ${value}`);
      outgoing.socket?.write(
        Buffer.concat([Buffer.from(`HTTP/1.1 ${status} OK\r\n${lines.join('\r\n')}\r\n\r\n`), body]),
      );
      return;
    }
    case 'slow':
      outgoing.writeHead(status, { ...headers, 'content-length': String(body.length) });
      dribble(outgoing, body);
      return;
    case 'oversized':
      outgoing.writeHead(status, headers);
      pour(outgoing);
  }
}

/** One byte every 20 ms until the body is complete or the client gone. */
function dribble(outgoing: ServerResponse, body: Buffer, position = 0): void {
  if (outgoing.destroyed) return;
  if (position === body.length) {
    outgoing.end();
    return;
  }
  outgoing.write(body.subarray(position, position + 1));
  setTimeout(() => dribble(outgoing, body, position + 1), 20).unref();
}

/** White space until the client is gone, no faster than it reads. */
function pour(outgoing: ServerResponse): void {
  const block = Buffer.alloc(65_536, ' ');
  const more = (): void => {
    while (!outgoing.destroyed && outgoing.write(block)) if (outgoing.writableLength > 1_048_576) break;
  };
  outgoing.on('drain', more);
  more();
}
