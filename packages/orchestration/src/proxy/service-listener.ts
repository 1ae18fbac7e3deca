import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf } from '@mnops/core';
import type { Clock } from '@mnops/core/spi';
import { orchestrationError } from '../orchestration-error.js';
import { durationMetric, type Figures, type ProxyFailure } from './figures.js';
import { clientKeepAliveMs, Forward, type ForwardContext, refuse } from './forward.js';
import type { FullProxyLimits } from './limits.js';
import { type RequestFraming, requestFraming } from './request-head.js';
import { Route } from './route.js';
import type { Target } from './target.js';
import { asksForWebsocket, plainRequest, type Upgrade, watchForEnd } from './upgrade.js';

/** Counts of one service since its listener was opened. */
export interface ListenerCounts {
  answered: number;
  failed: number;
  aborted: number;
  held: number;
}

export interface ServiceListenerOptions {
  readonly service: string;
  readonly figures: Figures;
  readonly clock: Clock;
  readonly limits: FullProxyLimits;
  /** Requests in flight over all listeners of the proxy. */
  readonly shared: { inFlight: number };
}

const knownMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const readBytes = 65_536;
/** Closing at once would reset the connection under the last answer. */
const lingerMs = 2_000;
const statusClasses = ['', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** The stable address of one service: takes requests on a port and shares them out over its instances. */
export class ServiceListener implements ForwardContext {
  readonly route: Route;
  readonly counts: ListenerCounts = { answered: 0, failed: 0, aborted: 0, held: 0 };
  /** Whether requests wait while there is no instance. */
  holding = false;
  closing = false;
  readonly #options: ServiceListenerOptions;
  readonly #server: Server;
  readonly #active: Set<Forward> = new Set();
  readonly #held: Map<Forward, number> = new Map();
  readonly #sockets: Set<Socket> = new Set();
  /** Connections that were answered for the last time, and since when; the client has a moment to read that. */
  readonly #leaving: Map<Socket, number> = new Map();
  #port = 0;

  constructor(options: ServiceListenerOptions) {
    const { clock, limits } = options;
    this.#options = options;
    this.route = new Route({
      clock,
      maxHeadBytes: limits.maxHeaderBytes,
      readBuffer: Buffer.allocUnsafeSlow(readBytes),
    });
    this.#server = createServer({
      maxHeaderSize: limits.maxHeaderBytes,
      noDelay: true,
      // Node answers such a request itself and goes on with what follows it: it is refused with the others instead.
      requireHostHeader: false,
    });
    // All fields, bounded by their bytes: with a limit Node frames by the first ones and shows more of them to be passed on.
    this.#server.maxHeadersCount = 0;
    this.#server.keepAliveTimeout = clientKeepAliveMs;
    this.#server.headersTimeout = 30_000;
    this.#server.requestTimeout = 300_000;
    this.#server.on('request', (request, response) => this.#take(request, response));
    this.#server.on('checkContinue', (request, response) => this.#take(request, response));
    this.#server.on('checkExpectation', (request, response) => this.#take(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    this.#server.on('connect', (_request, socket) => {
      this.#leave(
        socket as Socket,
        'HTTP/1.1 405 Method Not Allowed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
      );
    });
    this.#server.on('clientError', (error, socket) => this.#malformed(error, socket as Socket));
    this.#server.on('connection', (socket) => {
      if (this.#sockets.has(socket)) return;
      this.#sockets.add(socket);
      // Once Node's server gave a connection away, nobody else hears of its errors, and an error unheard ends the process.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#leaving.delete(socket);
      });
    });
  }

  get port(): number {
    return this.#port;
  }

  get inFlight(): number {
    return this.#active.size;
  }

  get held(): number {
    return this.#held.size;
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        const reason = codeOf(error) ?? 'unknown reason';
        const message = `Service ${this.#options.service} cannot listen on ${host}:${port}: ${reason}.`;
        reject(
          orchestrationError('MNOPS_ORCHESTRATION_PORT_UNAVAILABLE', message, {
            details: { service: this.#options.service, host, port, reason },
            cause: error,
          }),
        );
      };
      this.#server.once('error', failed);
      this.#server.listen(port, host, 1_024, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Sends held requests on their way, now that there may be an instance. */
  releaseHeld(): void {
    if (!this.route.open) {
      if (!this.holding) this.#refuseHeld('no-instance');
      return;
    }
    for (const forward of [...this.#held.keys()]) {
      this.#held.delete(forward);
      forward.dispatch();
    }
  }

  /** Times out what waits too long and closes idle connections. Called about once a second. */
  sweep(): void {
    const now = this.monotonic();
    const { answerTimeoutMs, holdMs } = this.#options.limits;
    for (const forward of this.#active) {
      if (forward.waitingSinceMs !== undefined && now - forward.waitingSinceMs > answerTimeoutMs)
        forward.fail('timeout');
      const quietSinceMs = forward.tunnel?.quietSinceMs;
      if (quietSinceMs !== undefined && now - quietSinceMs > answerTimeoutMs) forward.tunnel?.end();
    }
    for (const [forward, sinceMs] of this.#held) if (now - sinceMs > holdMs) forward.fail('hold-timeout');
    for (const [socket, sinceMs] of this.#leaving) if (now - sinceMs > lingerMs) socket.destroy();
    this.route.sweep();
  }

  /** Takes nothing new, lets what runs end within `graceMs`, then closes everything. */
  async close(graceMs: number): Promise<void> {
    this.closing = true;
    this.holding = false;
    this.#refuseHeld('no-instance');
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const grace = new AbortController();
    const late = this.#options.clock.sleep(graceMs, grace.signal).catch(() => undefined);
    await Promise.race([closed, late]);
    grace.abort();
    for (const target of this.route.targets) target.destroy();
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  monotonic(): number {
    return this.#options.clock.monotonic();
  }

  next(tried: readonly Target[], tunnel: boolean): Target | undefined {
    return this.route.next(tried, tunnel);
  }

  hold(forward: Forward): boolean {
    if (!this.holding || this.closing) return false;
    if (this.#held.size >= this.#options.limits.maxHeld) {
      forward.fail('hold-limit');
      return true;
    }
    this.counts.held += 1;
    forward.wasHeld = true;
    this.#held.set(forward, this.monotonic());
    return true;
  }

  answered(forward: Forward, target: Target, status: number): void {
    this.#forget(forward);
    this.opened(forward, target, status);
  }

  opened(forward: Forward, target: Target, status: number): void {
    const now = this.monotonic();
    this.counts.answered += 1;
    const method = knownMethods.has(forward.method) ? forward.method : 'OTHER';
    const statusClass = statusClasses[Math.floor(status / 100)] ?? '5xx';
    const key = method + statusClass;
    let series = target.series.get(key);
    if (series === undefined) {
      const { revision, version = '', instance } = target.address;
      series = this.#options.figures.series(durationMetric, {
        service: this.#options.service,
        version,
        service_instance: instance,
        method,
        revision,
        status_class: statusClass,
      });
      if (series === undefined) return;
      target.series.set(key, series);
    }
    series.add(now, now - forward.startedMs);
  }

  ended(forward: Forward): void {
    this.#forget(forward);
  }

  failed(forward: Forward, target: Target | undefined, reason: ProxyFailure): void {
    this.#forget(forward);
    this.#countFailure(target, reason);
  }

  aborted(forward: Forward): void {
    this.#forget(forward);
    this.counts.aborted += 1;
  }

  #countFailure(target: Target | undefined, reason: ProxyFailure): void {
    this.counts.failed += 1;
    this.#options.figures.failed(this.#options.service, target?.address.revision ?? '', reason);
  }

  #forget(forward: Forward): void {
    if (forward.wasHeld) this.#held.delete(forward);
    if (this.#active.delete(forward)) this.#options.shared.inFlight -= 1;
  }

  #refuseHeld(reason: ProxyFailure): void {
    for (const forward of [...this.#held.keys()]) forward.fail(reason);
  }

  #take(request: IncomingMessage, response: ServerResponse, upgrade?: Upgrade): void {
    // Node reads on behind a request that was refused as ambiguous: what it finds there is perhaps no request at all.
    if (this.#leaving.size > 0 && this.#leaving.has(request.socket)) return;
    let framing: RequestFraming;
    try {
      framing = requestFraming(request);
    } catch {
      const { socket } = request;
      this.#countFailure(undefined, 'bad-request');
      // An answer to an earlier request may still be under way before this one.
      this.#leaving.set(socket, Number.POSITIVE_INFINITY);
      response.on('finish', () => this.#leave(socket));
      refuse(response, 'bad-request');
      return;
    }
    if (this.#options.shared.inFlight >= this.#options.limits.maxInFlight) {
      this.#countFailure(undefined, 'in-flight-limit');
      refuse(response, 'in-flight-limit');
      return;
    }
    const forward = new Forward(this, request, response, framing, upgrade);
    this.#options.shared.inFlight += 1;
    this.#active.add(forward);
    forward.dispatch();
  }

  /** Node gives a connection away with a request that asks for another protocol. */
  #upgrade(request: IncomingMessage, client: Socket, early: Buffer): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    try {
      response.assignSocket(client);
    } catch {
      // An answer to a request before this one is still under way: two would come mixed up.
      this.#countFailure(undefined, 'bad-request');
      client.destroy();
      return;
    }
    if (!asksForWebsocket(request)) {
      response.detachSocket(client);
      client.unshift(plainRequest(request, early));
      this.#server.emit('connection', client);
      return;
    }
    const watched = watchForEnd(client);
    response.on('finish', () => {
      watched();
      response.detachSocket(client);
      this.#leave(client);
    });
    this.#take(request, response, { client, early, watched });
  }

  #malformed(error: Error, socket: Socket): void {
    const code = codeOf(error);
    if (this.#leaving.has(socket)) return;
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const under = [...this.#active].filter((forward) => forward.cameOver(socket));
    if (under.length > 0) {
      // The end of its body is lost, and no answer to what follows may get in between.
      this.#leaving.set(socket, this.monotonic());
      for (const forward of under) forward.fail('bad-request');
      return;
    }
    this.#countFailure(undefined, 'bad-request');
    const status =
      code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request';
    this.#leave(socket, `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  }

  /** Ends a connection with its last answer; the client is not waited for long. */
  #leave(socket: Socket, answer?: string): void {
    if (socket.destroyed) return;
    this.#leaving.set(socket, this.monotonic());
    if (answer === undefined) socket.end();
    else socket.end(answer);
  }
}
