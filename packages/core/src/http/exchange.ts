import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { coreError } from '../errors/core-error.js';
import { type PreparedBody, sendBody } from './body.js';
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
  /** Frees the connection and the timers. */
  end(): void;
}

/** What may stop an exchange: the caller's signal, and a deadline that progress can push away. */
interface Gate {
  readonly signal: AbortSignal;
  phase: 'connect' | 'headers' | 'body';
  /** Something moved: a renewable deadline begins anew. */
  progress(): void;
  /** The reader is busy elsewhere: a renewable deadline stands still until the next progress. */
  pause(): void;
  abort(reason: unknown): void;
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
    const { request: transport } =
      request.url.protocol === 'https:' ? await import('node:https') : await import('node:http');
    gate.signal.throwIfAborted();
    outgoing = transport(transportOptions(request));
    const failure: { value?: unknown } = {};
    const incoming = await answered(outgoing, request, gate, failure);
    gate.phase = 'body';
    gate.progress();
    return {
      method: request.method,
      incoming,
      body: () => read(incoming, request.url.origin, gate, failure),
      end: () => end(incoming, gate),
    };
  } catch (error) {
    outgoing?.destroy();
    gate.close();
    throw gate.signal.aborted ? gate.signal.reason : asMnops(error, request.url.origin);
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
    gate.signal.addEventListener(
      'abort',
      () => {
        outgoing.destroy();
        reject(gate.signal.reason);
      },
      { once: true },
    );
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
        () => gate.abort(timedOut(request.url.origin, request.connectTimeoutMs, 'connect')),
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
    throw gate.signal.aborted ? gate.signal.reason : asMnops(failure.value ?? error, origin);
  } finally {
    end(incoming, gate);
  }
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
  const controller = new AbortController();
  const aborted = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', aborted, { once: true });
  const longestMs = 2_147_483_647;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const arm = (): void => {
    if (closed || !Number.isFinite(timeoutMs)) return;
    const expired = (): void => controller.abort(timedOut(origin, timeoutMs, gate.phase));
    timer = setTimeout(expired, Math.min(timeoutMs, longestMs));
  };
  const gate: Gate = {
    signal: controller.signal,
    phase: 'connect',
    progress: () => {
      if (!renewable) return;
      clearTimeout(timer);
      arm();
    },
    pause: () => {
      if (renewable) clearTimeout(timer);
    },
    abort: (reason) => controller.abort(reason),
    close: () => {
      closed = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
    },
  };
  arm();
  return gate;
}
