import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { requestFraming } from './request-head.js';
import type { ResponseHead } from './response-parser.js';
import type { UpstreamConnection } from './upstream-pool.js';

/** A client that asks for a websocket, and what it sent behind its request. */
export interface Upgrade {
  readonly client: Socket;
  readonly early: Buffer;
  /** Ends the watch for the client's end. */
  readonly watched: () => void;
}

/** An open tunnel. */
export interface Tunnel {
  /** When a byte last came while one direction was over already: an instance that overlooks the end of its client keeps nothing. */
  readonly quietSinceMs: number | undefined;
  /** Ends both sides at once. */
  end(): void;
}

/** Dead peers are found by the system after so long without a byte; a websocket may be silent for as long as it wants. */
const keepAliveMs = 60_000;

/**
 * Whether a request asks for a websocket. Any other protocol is not asked for: an instance that speaks HTTP/2 over a tunnel could
 * be reached past the proxy's rules.
 */
export function asksForWebsocket(request: IncomingMessage): boolean {
  if (request.method !== 'GET' || request.httpVersionMinor === 0) return false;
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') return false;
  try {
    return requestFraming(request) === 'none';
  } catch {
    return false;
  }
}

/** Whether an answer of 101 opens the websocket that was asked for. */
export function opensWebsocket(head: ResponseHead): boolean {
  const { fields } = head;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]!.toLowerCase() === 'upgrade') return fields[index + 1]!.toLowerCase() === 'websocket';
  }
  return false;
}

/** The bytes of a request without its wish for another protocol. */
export function plainRequest(request: IncomingMessage, behind: Buffer): Buffer {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    // Without a space: never longer than it came, so it stays within the limit.
    if (rawHeaders[index]!.toLowerCase() !== 'upgrade') text += `${rawHeaders[index]}:${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), behind]);
}

/**
 * Notices that a client goes away while nothing is read from it. What it sends stays where it is, within the socket's bound.
 *
 * @returns Ends that.
 */
export function watchForEnd(client: Socket): () => void {
  const readable = (): void => {
    // Only reading past the last byte tells that nothing more comes.
    if (client.readableLength === 0) client.read();
  };
  const ended = (): void => void client.destroy();
  client.on('readable', readable);
  client.on('end', ended);
  return () => {
    client.off('readable', readable);
    client.off('end', ended);
  };
}

/**
 * Joins a client and an instance, byte for byte: each side waits for the other to take what it sent, the end of one direction is
 * passed on and leaves the other open, and a reset of one side resets the other.
 *
 * @param over - Called once, when neither side is left.
 */
export function joinTunnel(
  { client, early }: Upgrade,
  connection: UpstreamConnection,
  head: ResponseHead,
  monotonic: () => number,
  over: () => void,
): Tunnel {
  const upstream = connection.socket;
  let clientEnded = false;
  let upstreamEnded = false;
  let done = false;
  let quietSinceMs: number | undefined;
  const finish = (reset: boolean): void => {
    if (done) return;
    done = true;
    for (const socket of [client, upstream]) {
      if (reset && !socket.destroyed) socket.resetAndDestroy();
      else socket.destroy();
    }
    connection.abandon();
    over();
  };
  /** One side is closed: all was said where both had ended, but the other may not have taken all of it yet. */
  const closed = (other: Socket): void => {
    if (!clientEnded || !upstreamEnded) finish(true);
    else if (other.destroyed) finish(false);
    else other.destroySoon();
  };

  client.setKeepAlive(true, keepAliveMs);
  upstream.setKeepAlive(true, keepAliveMs);
  connection.join({
    onData: (chunk) => {
      quietSinceMs &&= monotonic();
      if (!client.write(chunk)) upstream.pause();
    },
    onDrain: () => client.resume(),
    onEnd: () => {
      upstreamEnded = true;
      quietSinceMs = monotonic();
      client.end();
    },
    onClose: () => closed(client),
  });
  client.on('drain', () => upstream.resume());
  client.on('close', () => closed(upstream));
  client.on('end', () => {
    clientEnded = true;
    quietSinceMs = monotonic();
    upstream.end();
  });
  client.write(headText(head), 'latin1');
  if (early.length > 0) upstream.write(early);
  client.on('data', (chunk: Buffer) => {
    quietSinceMs &&= monotonic();
    if (!upstream.write(chunk)) client.pause();
  });
  return {
    get quietSinceMs() {
      return quietSinceMs;
    },
    end: () => finish(false),
  };
}

function headText(head: ResponseHead): string {
  let text = `HTTP/1.1 ${head.status} ${head.statusText}\r\n`;
  for (let index = 0; index < head.fields.length; index += 2) {
    text += `${head.fields[index]}: ${head.fields[index + 1]}\r\n`;
  }
  return `${text}\r\n`;
}
