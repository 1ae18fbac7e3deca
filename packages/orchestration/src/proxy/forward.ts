import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ProxyFailure } from './figures.js';
import { isIdempotent } from './http-fields.js';
import { type RequestFraming, requestHead } from './request-head.js';
import type { ResponseHead } from './response-parser.js';
import type { Target } from './target.js';
import { joinTunnel, opensWebsocket, type Tunnel, type Upgrade } from './upgrade.js';
import type { Exchange, ExchangeFailure, UpstreamConnection } from './upstream-pool.js';
import { writeWhole } from './whole-answer.js';

/** What a forwarded request needs from the listener that took it. */
export interface ForwardContext {
  readonly closing: boolean;
  monotonic(): number;
  next(tried: readonly Target[], tunnel: boolean): Target | undefined;
  /** Keeps the request until there is an instance. Returns false when it must be refused. */
  hold(forward: Forward): boolean;
  answered(forward: Forward, target: Target, status: number): void;
  /** The answer is a tunnel, which stays in flight until `ended`. */
  opened(forward: Forward, target: Target, status: number): void;
  ended(forward: Forward): void;
  failed(forward: Forward, target: Target | undefined, reason: ProxyFailure): void;
  aborted(forward: Forward): void;
}

const maxTries = 3;
/** Longer than clients keep idle connections, so that the client is the one that closes. */
export const clientKeepAliveMs = 75_000;
const statusOf: Readonly<Record<ProxyFailure, number>> = {
  'no-instance': 503,
  refused: 502,
  reset: 502,
  timeout: 504,
  'invalid-response': 502,
  'in-flight-limit': 503,
  'hold-limit': 503,
  'hold-timeout': 503,
  'bad-request': 400,
};

/** Answers a request that the proxy itself cannot serve. */
export function refuse(response: ServerResponse, reason: ProxyFailure): void {
  const status = statusOf[reason];
  const body = `${JSON.stringify({ error: `The proxy could not serve this request: ${reason}.` })}\n`;
  const fields: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-mnops-proxy-failure': reason,
  };
  if (status === 503) fields['retry-after'] = 1;
  // An unread body would be taken for the next request.
  if (reason === 'bad-request') fields['connection'] = 'close';
  response.writeHead(status, fields);
  response.end(body);
}

/**
 * One request on its way through the proxy.
 *
 * It is sent again only where no byte of it reached an instance, or where it may be repeated and no byte of an answer came.
 */
export class Forward implements Exchange {
  readonly method: string;
  readonly startedMs: number;
  /** When the request went out, while no answer has begun; the listener times it out. */
  waitingSinceMs: number | undefined;
  /** Whether it had to wait for an instance. */
  wasHeld = false;
  /** What the answer has become, if it was a 101. */
  tunnel: Tunnel | undefined;
  readonly #context: ForwardContext;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #framing: RequestFraming;
  readonly #upgrade: Upgrade | undefined;
  readonly #tried: Target[] = [];
  #tries = 0;
  #target: Target | undefined;
  #connection: UpstreamConnection | undefined;
  #bodyBegun = false;
  #sentAll = false;
  /** Start of the answer, while nothing of it was written. */
  #head: ResponseHead | undefined;
  #body: Buffer | undefined;
  #status = 0;
  #over = false;

  constructor(
    context: ForwardContext,
    request: IncomingMessage,
    response: ServerResponse,
    framing: RequestFraming,
    upgrade?: Upgrade,
  ) {
    this.#context = context;
    this.#request = request;
    this.#response = response;
    this.#framing = framing;
    this.#upgrade = upgrade;
    this.method = request.method ?? 'GET';
    this.startedMs = context.monotonic();
    response.on('close', () => this.#clientGone());
  }

  /** Whether the request came over this connection. */
  cameOver(socket: Socket): boolean {
    return this.#request.socket === socket;
  }

  /** Sends the request to an instance, or keeps it until there is one. */
  dispatch(fresh = false): void {
    if (this.#over) return;
    const tunnel = this.#upgrade !== undefined;
    const target = this.#context.next(this.#tried, tunnel) ?? this.#context.next([], tunnel);
    if (target === undefined) {
      if (!this.#context.hold(this)) this.fail('no-instance');
      return;
    }
    this.#tries += 1;
    this.#target = target;
    target.inFlight += 1;
    this.#connection = target.pool.take(isIdempotent(this.method) && this.#framing === 'none', fresh);
    this.#connection.begin(this);
  }

  onReady(): void {
    const socket = this.#connection!.socket;
    // A held request was begun long before it is sent.
    this.waitingSinceMs = this.#tries > 1 || this.wasHeld ? this.#context.monotonic() : this.startedMs;
    const protocol = this.#upgrade === undefined ? undefined : 'websocket';
    socket.write(requestHead(this.#request, this.#framing, protocol), 'latin1');
    if (this.#framing === 'none') {
      this.#sentAll = true;
      return;
    }
    this.#bodyBegun = true;
    const chunked = this.#framing === 'chunked';
    this.#request.on('data', (chunk: Buffer) => {
      if (this.#connection === undefined) return;
      if (chunked) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      let room = socket.write(chunk);
      if (chunked) room = socket.write('\r\n', 'latin1');
      if (!room) this.#request.pause();
    });
    this.#request.on('end', () => {
      if (this.#connection === undefined) return;
      if (chunked) socket.write(`0\r\n${trailerText(this.#request.rawTrailers)}\r\n`, 'latin1');
      this.#sentAll = true;
      this.waitingSinceMs &&= this.#context.monotonic();
    });
  }

  onDrain(): void {
    this.#request.resume();
  }

  onInterim(head: ResponseHead): void {
    if (this.#request.httpVersionMinor === 0) return;
    if (head.status === 100) {
      if (this.#request.headers.expect !== undefined) this.#response.writeContinue();
    } else if (head.status === 103) {
      const links = head.fields.filter((_, index) => index % 2 === 1 && /^link$/i.test(head.fields[index - 1]!));
      try {
        if (links.length > 0) this.#response.writeEarlyHints({ link: links });
      } catch {
        // Node refuses links that are malformed: a hint is not worth the answer, and never the process.
      }
    }
  }

  onHead(head: ResponseHead): void {
    this.waitingSinceMs = undefined;
    if (head.status === 101 && (this.#upgrade === undefined || !opensWebsocket(head))) {
      const target = this.#target;
      this.#release(false);
      this.#fail('invalid-response', target);
      return;
    }
    this.#status = head.status;
    if (this.#context.closing) this.#response.shouldKeepAlive = false;
    this.#head = head;
  }

  #writeHead(): void {
    if (this.#head === undefined) return;
    const { status, statusText, fields } = this.#head;
    this.#head = undefined;
    this.#response.writeHead(status, statusText, fields);
  }

  onBody(chunk: Buffer): void {
    if (this.#body !== undefined) this.#write();
    this.#body = chunk;
  }

  onPause(): void {
    if (this.#body !== undefined) {
      this.#write();
    } else if (this.#head !== undefined) {
      this.#writeHead();
      this.#response.flushHeaders();
    }
  }

  onEnd(trailers: readonly string[]): void {
    // A slow client may have paused the connection; once the answer is whole nothing would resume it for the next request.
    this.#connection?.socket.resume();
    if (this.#over) return;
    this.#over = true;
    if (this.#status === 101) {
      this.#openTunnel(this.#upgrade!, this.#head!);
      return;
    }
    const target = this.#target!;
    const body = this.#body;
    const head = this.#head;
    this.#body = undefined;
    const whole = head !== undefined && trailers.length === 0 && this.#sentAll;
    if (!whole || !writeWhole(this.#request, this.#response, head, body, clientKeepAliveMs / 1_000)) {
      this.#writeHead();
      if (trailers.length > 0) this.#response.addTrailers(pairs(trailers));
      this.#response.end(body);
    }
    this.#context.answered(this, target, this.#status);
    this.#release(this.#sentAll);
    // An answer may come before the whole body did; what is left of it is read and dropped.
    if (!this.#sentAll) this.#request.resume();
  }

  onFailure(failure: ExchangeFailure, answerBegun: boolean): void {
    if (this.#over) return;
    const connection = this.#connection!;
    const target = this.#target!;
    this.#connection = undefined;
    this.#target = undefined;
    const unsent = failure === 'refused' || (connection.reused && failure === 'reset');
    const repeatable = failure === 'refused' ? !this.#bodyBegun : isIdempotent(this.method) && !this.#bodyBegun;
    if (failure !== 'invalid' && !answerBegun && repeatable && this.#tries < maxTries) {
      this.waitingSinceMs = undefined;
      if (!unsent || failure === 'refused') this.#tried.push(target);
      target.done();
      this.dispatch(true);
      return;
    }
    this.#fail(failure === 'invalid' ? 'invalid-response' : failure, target);
    target.done();
  }

  /** Ends the request without an answer from an instance. */
  fail(reason: ProxyFailure): void {
    const target = this.#target;
    if (this.#over) return;
    this.#fail(reason, target);
    this.#connection?.abandon();
    this.#connection = undefined;
    this.#target = undefined;
    target?.done();
  }

  #fail(reason: ProxyFailure, target: Target | undefined = this.#target): void {
    if (this.#over) return;
    this.#over = true;
    this.#context.failed(this, target, reason);
    if (this.#response.headersSent) {
      // A cut connection is the only honest end of an answer that was begun. HTTP/1.0 ends answers by closing: only a reset
      // tells a cut one from a whole one.
      if (this.#request.httpVersionMinor === 0) this.#response.socket?.resetAndDestroy();
      this.#response.destroy();
      return;
    }
    if (this.#framing !== 'none' && !this.#sentAll) {
      this.#response.shouldKeepAlive = false;
      this.#request.resume();
    }
    refuse(this.#response, reason);
  }

  #openTunnel(upgrade: Upgrade, head: ResponseHead): void {
    const target = this.#target!;
    const connection = this.#connection!;
    this.#target = undefined;
    this.#connection = undefined;
    this.#response.detachSocket(upgrade.client);
    upgrade.watched();
    const tunnel = joinTunnel(
      upgrade,
      connection,
      head,
      () => this.#context.monotonic(),
      () => {
        target.ended(tunnel);
        this.#context.ended(this);
      },
    );
    this.tunnel = tunnel;
    target.opened(tunnel);
    this.#context.opened(this, target, head.status);
  }

  #write(): void {
    const chunk = this.#body;
    this.#body = undefined;
    this.#writeHead();
    if (chunk === undefined || this.#response.write(chunk)) return;
    const socket = this.#connection?.socket;
    socket?.pause();
    this.#response.once('drain', () => socket?.resume());
  }

  #release(reusable: boolean): void {
    const target = this.#target;
    const connection = this.#connection;
    this.#target = undefined;
    this.#connection = undefined;
    if (reusable) connection?.release(true);
    else connection?.abandon();
    target?.done();
  }

  #clientGone(): void {
    if (this.#over) return;
    this.#over = true;
    this.#context.aborted(this);
    this.#release(false);
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index < flat.length; index += 2) found.push([flat[index]!, flat[index + 1]!]);
  return found;
}

function trailerText(raw: readonly string[]): string {
  return pairs(raw)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}
