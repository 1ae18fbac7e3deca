import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { coreError } from '../errors/core-error.js';
import { type PreparedBody, sendBody, tooLarge } from './body.js';
import { connectionError } from './connection-error.js';
import type { TlsOptions } from './types.js';

/** A request, checked and complete. */
export interface PreparedRequest {
  readonly method: string;
  readonly url: URL;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: PreparedBody;
  readonly agent: Agent | undefined;
  readonly tls: TlsOptions | undefined;
  readonly connectTimeoutMs: number;
}

/** An exchange under way: its answer, and what ends it. */
export interface Exchange {
  readonly method: string;
  readonly incoming: IncomingMessage;
  /** The body; ends the exchange when it has been read, or given up. */
  body(): AsyncGenerator<Uint8Array>;
  /** The body in one piece, of at most so many bytes; ends the exchange. */
  whole(maxBytes: number): Promise<Buffer>;
  /** Frees the connection and the timers. */
  end(): void;
}

/** What may stop an exchange: the caller's signal, and a deadline that progress can push away. */
interface Gate {
  /** Why the exchange was stopped; absent while it goes on. */
  stopped: { readonly reason: unknown } | undefined;
  /** Called once, when the exchange is stopped. */
  onStop: (reason: unknown) => void;
  phase: 'connect' | 'headers' | 'body';
  /** Something moved: a renewable deadline begins anew. */
  progress(): void;
  /** The reader is busy elsewhere: a renewable deadline stands still until the next progress. */
  pause(): void;
  stop(reason: unknown): void;
  close(): void;
}

/** Limits of one exchange. */
export interface ExchangeLimits {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Whether the deadline is for each stretch without progress, not for the whole. */
  readonly renewable: boolean;
}

/** Sends one request and yields its answer as soon as the headers are there. */
export async function exchange(request: PreparedRequest, limits: ExchangeLimits): Promise<Exchange> {
  limits.signal?.throwIfAborted();
  const gate = openGate(request.url.origin, limits);
  let outgoing: ClientRequest | undefined;
  try {
    // Not imported at the top: a program that sends nothing does not pay for it. Asking anew for each request costs nothing.
    const { request: transport } = process.getBuiltinModule(
      request.url.protocol === 'https:' ? 'node:https' : 'node:http',
    );
    outgoing = transport(transportOptions(request));
    const failure: { value?: unknown } = {};
    const incoming = await answered(outgoing, request, gate, failure);
    gate.phase = 'body';
    gate.progress();
    return {
      method: request.method,
      incoming,
      body: () => read(incoming, request.url.origin, gate, failure),
      whole: (maxBytes) => whole(incoming, { origin: request.url.origin, maxBytes }, gate, failure),
      end: () => end(incoming, gate),
    };
  } catch (error) {
    outgoing?.destroy();
    gate.close();
    throw reasonOf(error, gate, request.url.origin);
  }
}

function transportOptions(request: PreparedRequest): Record<string, unknown> {
  const { url, method, path, headers, agent, tls } = request;
  const secure = url.protocol === 'https:';
  return {
    method,
    path,
    headers,
    agent,
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    ...(url.username === '' && url.password === ''
      ? {}
      : { auth: `${decodedPart(url.username)}:${decodedPart(url.password)}` }),
    ...(secure ? tls : {}),
  };
}

/** User information is often written with a bare percent sign; it is then meant as it stands. */
function decodedPart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function answered(
  outgoing: ClientRequest,
  request: PreparedRequest,
  gate: Gate,
  failure: { value?: unknown },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    gate.onStop = (reason) => {
      outgoing.destroy();
      reject(reason);
    };
    outgoing.on('error', (error) => {
      failure.value = error; // also one that comes after the answer began, such as bytes beyond its length
      reject(error);
    });
    outgoing.on('response', resolve);
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) {
        gate.phase = 'headers';
        return;
      }
      const timer = setTimeout(
        () => gate.stop(timedOut(request.url.origin, request.connectTimeoutMs, 'connect')),
        request.connectTimeoutMs,
      );
      const connected = (): void => {
        clearTimeout(timer);
        gate.phase = 'headers';
      };
      socket.once(request.url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
      socket.once('close', () => clearTimeout(timer));
    });
    sendBody(outgoing, request.body, gate.progress).catch((error: unknown) => {
      outgoing.destroy();
      reject(error);
    });
  });
}

async function* read(
  incoming: IncomingMessage,
  origin: string,
  gate: Gate,
  failure: { value?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) {
      gate.pause();
      yield chunk as Buffer;
      gate.progress();
    }
    if (failure.value !== undefined) throw failure.value;
  } catch (error) {
    throw reasonOf(failure.value ?? error, gate, origin);
  } finally {
    end(incoming, gate);
  }
}

/** The same without the turns of a stream's iterator: most answers are small and are read at once. */
function whole(
  incoming: IncomingMessage,
  { origin, maxBytes }: { readonly origin: string; readonly maxBytes: number },
  gate: Gate,
  failure: { value?: unknown },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let done = false;
    const fail = (error: unknown): void => {
      done = true;
      end(incoming, gate);
      reject(reasonOf(error, gate, origin));
    };
    // It ended or broke before anybody asked for it, so that none of the events below will come.
    if (incoming.destroyed || incoming.readableEnded) {
      fail(failure.value ?? Object.assign(new Error('The connection was closed.'), { code: 'ECONNRESET' }));
      return;
    }
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        fail(tooLarge(origin, maxBytes));
        return;
      }
      chunks.push(chunk);
      gate.progress();
    });
    incoming.on('end', () => {
      if (failure.value !== undefined) {
        fail(failure.value);
        return;
      }
      done = true;
      end(incoming, gate);
      const [only] = chunks;
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size));
    });
    incoming.on('error', (error) => fail(failure.value ?? error));
    incoming.on('close', () => {
      if (!done) fail(failure.value ?? Object.assign(new Error('The connection was closed.'), { code: 'ECONNRESET' }));
    });
  });
}

function reasonOf(error: unknown, { stopped }: Gate, origin: string): unknown {
  return stopped === undefined ? asMnops(error, origin) : stopped.reason;
}

function end(incoming: IncomingMessage, gate: Gate): void {
  gate.close();
  if (!incoming.readableEnded) incoming.destroy();
}

function asMnops(error: unknown, origin: string): unknown {
  // Only Node's own failures are translated; an error of the caller's body stream is the caller's.
  const code = (error as { code?: unknown } | null)?.code;
  const ours = typeof code === 'string' && !code.startsWith('MNOPS_');
  return ours ? connectionError(error, origin) : error;
}

function timedOut(origin: string, timeoutMs: number, phase: Gate['phase']): Error {
  const what = { connect: 'No connection to', headers: 'No answer from', body: 'No complete answer from' }[phase];
  return coreError('MNOPS_CORE_TIMEOUT', `${what} ${origin} within ${timeoutMs} ms.`, {
    details: { origin, timeoutMs, phase },
  });
}

function openGate(origin: string, limits: ExchangeLimits): Gate {
  const { signal, timeoutMs, renewable } = limits;
  const aborted = (): void => gate.stop(signal?.reason);
  const longestMs = 2_147_483_647;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const expired = (): void => gate.stop(timedOut(origin, timeoutMs, gate.phase));
  const arm = (): void => {
    if (closed || !Number.isFinite(timeoutMs)) return;
    timer = setTimeout(expired, Math.min(timeoutMs, longestMs));
  };
  // An AbortController of its own for each exchange would cost more than all the rest here.
  const gate: Gate = {
    stopped: undefined,
    onStop: () => undefined,
    phase: 'connect',
    progress: () => {
      if (!renewable) return;
      clearTimeout(timer);
      arm();
    },
    pause: () => {
      if (renewable) clearTimeout(timer);
    },
    stop: (reason) => {
      if (gate.stopped !== undefined) return;
      gate.stopped = { reason };
      gate.onStop(reason);
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
    },
  };
  signal?.addEventListener('abort', aborted, { once: true });
  arm();
  return gate;
}
