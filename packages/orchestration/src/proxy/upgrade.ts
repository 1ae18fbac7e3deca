import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ProxyFailure } from './figures.js';
import { type RequestFraming, requestFraming, requestHead } from './request-head.js';
import { InvalidResponse, type ResponseHead, ResponseParser } from './response-parser.js';
import type { Target } from './target.js';

/** What an upgrade needs from the listener that took it. */
export interface UpgradeContext {
  readonly maxHeadBytes: number;
  next(): Target | undefined;
  failed(target: Target | undefined, reason: ProxyFailure): void;
}

/**
 * Joins a client and an instance after a websocket upgrade, byte for byte. Any other protocol is not asked for: the request
 * goes on as a plain one, because an instance that speaks HTTP/2 over a tunnel could be reached past the proxy's rules.
 */
export function tunnel(context: UpgradeContext, request: IncomingMessage, client: Duplex, clientHead: Buffer): void {
  const refuse = (reason: ProxyFailure, status: string, target?: Target): void => {
    context.failed(target, reason);
    client.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  };
  client.on('error', () => client.destroy());
  let framing: RequestFraming;
  try {
    framing = requestFraming(request);
  } catch {
    refuse('bad-request', '400 Bad Request');
    return;
  }
  const websocket = request.headers.upgrade?.trim().toLowerCase() === 'websocket' && request.method === 'GET';
  if (framing !== 'none') {
    refuse('bad-request', '400 Bad Request');
    return;
  }
  const target = context.next();
  if (target === undefined) {
    refuse('no-instance', '503 Service Unavailable');
    return;
  }

  const upstream = connect({ host: target.address.host ?? '127.0.0.1', port: target.address.port, noDelay: true });
  const end = (): void => {
    client.destroy();
    upstream.destroy();
    target.tunnels.delete(end);
  };
  let answered = false;
  const parser = new ResponseParser(
    {
      onInterim: () => undefined,
      onHead: (head) => {
        if (head.status === 101 && !websocket) throw new InvalidResponse('An upgrade that nobody asked for.');
        answered = true;
        client.write(headText(head, head.status === 101), 'latin1');
      },
      onBody: (chunk) => void client.write(chunk),
      onEnd: () => undefined,
    },
    context.maxHeadBytes,
  );
  let open = false;
  target.tunnels.add(end);
  upstream.on('connect', () => {
    upstream.write(requestHead(request, 'none', websocket ? 'websocket' : undefined), 'latin1');
  });
  parser.expect(request.method ?? 'GET');
  const read = (chunk: Buffer): void => {
    let upgraded = false;
    try {
      const rest = parser.execute(chunk);
      upgraded = parser.upgraded;
      if (upgraded && rest.length > 0) client.write(rest);
    } catch {
      if (!answered) refuse('invalid-response', '502 Bad Gateway', target);
      end();
      return;
    }
    if (!upgraded) return;
    open = true;
    upstream.off('data', read);
    if (clientHead.length > 0) upstream.write(clientHead);
    upstream.pipe(client);
    client.pipe(upstream);
  };
  upstream.on('data', read);
  upstream.on('error', () => {
    if (!answered) refuse(upstream.pending ? 'refused' : 'reset', '502 Bad Gateway', target);
    target.tunnels.delete(end);
    if (open) client.destroy();
  });
  upstream.on('close', () => {
    target.tunnels.delete(end);
    client.end();
  });
  client.on('close', end);
}

function headText(head: ResponseHead, upgraded: boolean): string {
  let text = `HTTP/1.1 ${head.status} ${head.statusText}\r\n`;
  for (let index = 0; index < head.fields.length; index += 2) {
    text += `${head.fields[index]}: ${head.fields[index + 1]}\r\n`;
  }
  return upgraded ? `${text}\r\n` : `${text}connection: close\r\n\r\n`;
}
