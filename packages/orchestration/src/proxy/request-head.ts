import type { IncomingMessage } from 'node:http';
import { isConnectionField, listedFields, originForm } from './http-fields.js';

/** How the body of a request is delimited. */
export type RequestFraming = 'none' | 'length' | 'chunked';

/** What is wrong with a request that is refused. */
export class InvalidRequest extends Error {}

/**
 * How the body of a request is delimited.
 *
 * @throws {InvalidRequest} for what two readers could understand differently: two hosts, two lengths, a length and an
 * encoding, an encoding other than `chunked`, an encoding in HTTP/1.0.
 */
export function requestFraming(request: IncomingMessage): RequestFraming {
  const { headers, rawHeaders } = request;
  let hosts = 0;
  let lengths = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
    else if (name.length === 14 && name.toLowerCase() === 'content-length') lengths += 1;
  }
  if (hosts > 1) throw new InvalidRequest('The request names more than one host.');
  const encoding = headers['transfer-encoding'];
  if (encoding !== undefined) {
    if (lengths > 0 || request.httpVersionMinor === 0 || encoding.toLowerCase() !== 'chunked') {
      throw new InvalidRequest('The transfer encoding of the request is not one that can be passed on safely.');
    }
    return 'chunked';
  }
  const length = headers['content-length'];
  if (length === undefined) return 'none';
  if (lengths > 1 || !/^\d{1,15}$/.test(length))
    throw new InvalidRequest('The length of the request is not one number.');
  return Number(length) === 0 ? 'none' : 'length';
}

/** Lengths of the names that do not simply pass: most names need no second look. */
const special: readonly boolean[] = Array.from({ length: 20 }, (_, length) =>
  [2, 7, 10, 15, 16, 17, 18, 19].includes(length),
);

/** The request line and fields as they go to the instance. `upgrade`: the protocol that is asked for. */
export function requestHead(request: IncomingMessage, framing: RequestFraming, upgrade?: string): string {
  const { rawHeaders, headers, socket } = request;
  const listed = listedFields(headers.connection);
  let head = `${request.method} ${originForm(request.url ?? '/')} HTTP/1.1\r\n`;
  let forwardedFor = '';
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (listed.length > 0 || special[name.length] === true) {
      const lower = name.toLowerCase();
      if (lower === 'x-forwarded-for') forwardedFor += `${rawHeaders[index + 1]}, `;
      if (lower === 'x-forwarded-for' || isConnectionField(lower) || listed.includes(lower)) continue;
    }
    head += `${name}: ${rawHeaders[index + 1]}\r\n`;
  }
  if (headers.host === undefined) head += `host: ${socket.localAddress}:${socket.localPort}\r\n`;
  else if (headers['x-forwarded-host'] === undefined) head += `x-forwarded-host: ${headers.host}\r\n`;
  if (headers['x-forwarded-proto'] === undefined) head += 'x-forwarded-proto: http\r\n';
  head += `x-forwarded-for: ${forwardedFor}${socket.remoteAddress ?? 'unknown'}\r\n`;
  if (framing === 'chunked') head += 'transfer-encoding: chunked\r\n';
  return upgrade === undefined
    ? `${head}connection: keep-alive\r\n\r\n`
    : `${head}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`;
}
