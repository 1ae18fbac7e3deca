import { connect, type Socket } from 'node:net';
import type { Clock } from '@mnops/core/spi';
import { type ResponseHead, ResponseParser, type ResponseSink } from './response-parser.js';

/** Why an exchange over an upstream connection came to nothing. */
export type ExchangeFailure = 'refused' | 'reset' | 'invalid';

/** One request's side of an upstream connection. */
export interface Exchange extends ResponseSink {
  readonly method: string;
  /** The connection is up: the request may be written. Called at once on a reused connection. */
  onReady(): void;
  /** What came so far is handed over; nothing more is there yet. */
  onPause(): void;
  onFailure(failure: ExchangeFailure, answerBegun: boolean): void;
  /** The other side took what was written before. */
  onDrain(): void;
}

/** The other end of a connection that carries another protocol by now. */
export interface TunnelEnd {
  onData(chunk: Buffer): void;
  onDrain(): void;
  onEnd(): void;
  onClose(): void;
}

export interface UpstreamPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly maxHeadBytes: number;
  readonly readBuffer: Buffer;
}

/** Below the 5 s after which a Node server closes an idle connection. */
const idleLimitMs = 4_000;
/** A request that must not be sent twice takes a connection only when it was busy a moment ago. */
const unsafeIdleLimitMs = 500;
const maxIdleConnections = 256;

/** One connection to an instance; it carries one exchange at a time. */
export class UpstreamConnection implements ResponseSink {
  readonly socket: Socket;
  readonly #pool: UpstreamPool;
  readonly #parser: ResponseParser;
  #exchange: Exchange | undefined;
  #tunnel: TunnelEnd | undefined;
  #connected = false;
  #answerBegun = false;
  #exchanges = 0;
  idleSinceMs = 0;
  idleLimitMs: number = idleLimitMs;

  constructor(pool: UpstreamPool, options: UpstreamPoolOptions) {
    this.#pool = pool;
    this.#parser = new ResponseParser(this, options.maxHeadBytes);
    this.socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      // In a tunnel the end of one direction leaves the other open; anything else is closed once it ended.
      allowHalfOpen: true,
      // One buffer for all connections of the pool: what is read is handed on before the next read. It saves an allocation
      // of 64 KiB per read.
      onread: {
        buffer: options.readBuffer,
        callback: (size, buffer) => {
          this.#read(Buffer.from((buffer as Buffer).subarray(0, size)));
          return true;
        },
      },
    });
    this.socket.on('connect', () => {
      this.#connected = true;
      this.#exchange?.onReady();
    });
    this.socket.on('drain', () => (this.#tunnel ?? this.#exchange)?.onDrain());
    this.socket.on('end', () => this.#ended());
    // Only an orderly end makes an answer whole: one that was reset, or that this side gave up, is cut.
    this.socket.on('error', () => this.#lost());
    this.socket.on('close', () => this.#lost());
  }

  /** Whether it carried an exchange before this one. */
  get reused(): boolean {
    return this.#exchanges > 1;
  }

  begin(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#exchanges += 1;
    this.#answerBegun = false;
    this.#parser.expect(exchange.method);
    if (this.#connected) exchange.onReady();
  }

  /** The answer was a 101: what comes from here on goes to `end` as it is. */
  join(end: TunnelEnd): void {
    this.#exchange = undefined;
    this.#tunnel = end;
  }

  /** Gives the exchange up; the connection cannot be used again. */
  abandon(): void {
    this.#exchange = undefined;
    this.#pool.forget(this);
    this.socket.destroy();
  }

  onInterim(head: ResponseHead): void {
    this.#exchange?.onInterim(head);
  }

  onHead(head: ResponseHead): void {
    this.#exchange?.onHead(head);
  }

  onBody(chunk: Buffer): void {
    this.#exchange?.onBody(chunk);
  }

  onEnd(trailers: readonly string[]): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.onEnd(trailers);
  }

  /** The exchange is over on both sides: the connection goes back to the pool, or ends. */
  release(sentAll: boolean): void {
    this.#exchange = undefined;
    const { reusable, idleTimeoutMs } = this.#parser;
    if (idleTimeoutMs !== undefined) this.idleLimitMs = Math.min(idleLimitMs, Math.max(0, idleTimeoutMs - 1_000));
    if (reusable && sentAll && !this.socket.destroyed && !this.socket.readableEnded) this.#pool.put(this);
    else this.abandon();
  }

  #read(chunk: Buffer): void {
    if (this.#tunnel !== undefined) {
      this.#tunnel.onData(chunk);
      return;
    }
    if (this.#exchange === undefined) {
      // Bytes that nobody asked for: an answer without a request would be taken for the next one's.
      this.abandon();
      return;
    }
    this.#answerBegun = true;
    try {
      const rest = this.#parser.execute(chunk);
      if (this.#tunnel !== undefined) this.#joined(rest);
      else if (this.#exchange !== undefined) this.#exchange.onPause();
      else if (rest.length > 0) this.abandon();
    } catch {
      // Whatever an instance sends, and whatever Node thinks of it, ends this exchange only.
      this.#fail('invalid');
    }
  }

  /** By name, because the call before it is what sets the tunnel. */
  #joined(rest: Buffer): void {
    if (rest.length > 0) this.#tunnel?.onData(rest);
  }

  #ended(): void {
    if (this.#tunnel !== undefined) {
      this.#tunnel.onEnd();
      return;
    }
    if (this.#exchange === undefined) {
      this.abandon();
      return;
    }
    if (this.#answerBegun && this.#parser.finish()) return;
    this.#lost();
  }

  #lost(): void {
    if (this.#tunnel !== undefined) this.#tunnel.onClose();
    else if (this.#exchange === undefined) this.abandon();
    else this.#fail(this.#connected ? 'reset' : 'refused');
  }

  #fail(failure: ExchangeFailure): void {
    const exchange = this.#exchange;
    const begun = this.#answerBegun;
    this.abandon();
    exchange?.onFailure(failure, begun);
  }
}

/** Kept-alive connections to one instance, the one used last first. */
export class UpstreamPool {
  readonly #options: UpstreamPoolOptions;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all: Set<UpstreamConnection> = new Set();
  #destroyed = false;

  constructor(options: UpstreamPoolOptions) {
    this.#options = options;
  }

  /**
   * A connection for one exchange: an idle one that is surely alive, else a new one.
   *
   * @param fresh - Take a new one in any case.
   */
  take(repeatable: boolean, fresh: boolean): UpstreamConnection {
    const now = this.#options.clock.monotonic();
    while (!fresh && this.#idle.length > 0) {
      const connection = this.#idle.pop()!;
      const idleMs = now - connection.idleSinceMs;
      if (idleMs < connection.idleLimitMs && (repeatable || idleMs < unsafeIdleLimitMs)) return connection;
      connection.abandon();
    }
    const connection = new UpstreamConnection(this, this.#options);
    this.#all.add(connection);
    return connection;
  }

  put(connection: UpstreamConnection): void {
    if (this.#destroyed || this.#idle.length >= maxIdleConnections) {
      connection.abandon();
      return;
    }
    connection.idleSinceMs = this.#options.clock.monotonic();
    this.#idle.push(connection);
  }

  forget(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  /** Closes what has been idle for too long. */
  sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const connection of [...this.#idle]) {
      if (now - connection.idleSinceMs >= connection.idleLimitMs) connection.abandon();
    }
  }

  destroy(): void {
    this.#destroyed = true;
    for (const connection of [...this.#all]) connection.socket.destroy();
    this.#all.clear();
    this.#idle.length = 0;
  }
}
