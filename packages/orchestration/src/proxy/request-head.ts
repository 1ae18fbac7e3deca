import type { IncomingMessage } from 'node:http';
import { isConnectionField, isForwardingField, listedFields, originForm } from './http-fields.js';

/** How the body of a request is delimited. */
export type RequestFraming = 'none' | 'length' | 'chunked';

/** What is wrong with a request that is refused. */
export class InvalidRequest extends Error {}

/** Neither a list, nor credentials, nor a path: what a host and a port are made of. */
const hostPattern = /^[^\s,@/?#\\]*$/;

/**
 * How the body of a request is delimited. Judged by the raw fields alone: what a parser joins or leaves out is what another
 * reader sees.
 *
 * @throws {InvalidRequest} for what two readers could understand differently: no host or two, two lengths, a length and an
 * encoding, an encoding other than `chunked`, an encoding in HTTP/1.0, names with white space, folded fields.
 */
export function requestFraming(request: IncomingMessage): RequestFraming {
  const { rawHeaders } = request;
  let host: string | undefined;
  let length: string | undefined;
  let encoding: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    const value = rawHeaders[index + 1]!;
    if (!(name.charCodeAt(name.length - 1) > 32) || value.includes('\n')) {
      throw new InvalidRequest('A field of the request is malformed.');
    }
    // Others are not told apart: most names are of another length.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      host = once(host, value);
    } else if (name.length === 14 && dashed(name) === 'content-length') {
      if (name.charCodeAt(7) === underscore)
        throw new InvalidRequest('The length has a name that some take for another.');
      length = once(length, value);
    } else if (name.length === 17 && dashed(name) === 'transfer-encoding') {
      if (name.charCodeAt(8) === underscore) {
        throw new InvalidRequest('The encoding has a name that some take for another.');
      }
      encoding = once(encoding, value);
    }
  }
  if (host === undefined ? request.httpVersionMinor !== 0 : !hostPattern.test(host)) {
    throw new InvalidRequest('The request does not name one host.');
  }
  if (encoding !== undefined) {
    if (length !== undefined || request.httpVersionMinor === 0 || encoding.toLowerCase() !== 'chunked') {
      throw new InvalidRequest('The transfer encoding of the request is not one that can be passed on safely.');
    }
    return 'chunked';
  }
  if (length === undefined) return 'none';
  if (!/^\d{1,15}$/.test(length)) throw new InvalidRequest('The length of the request is not one number.');
  return Number(length) === 0 ? 'none' : 'length';
}

const underscore = 95;

/** A name as CGI-like readers see it, to whom `_` and `-` are the same. */
function dashed(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function once(before: string | undefined, value: string): string {
  if (before !== undefined) throw new InvalidRequest('A field that frames the request comes twice.');
  return value;
}

/** Lengths of connection fields' names: most names need no second look. */
const special: readonly boolean[] = Array.from({ length: 20 }, (_, length) =>
  [2, 7, 9, 10, 16, 17, 18, 19].includes(length),
);
const letterX = 120;

/**
 * The request line and fields as they go to the instance. What the client says of where it comes from is replaced by what the
 * proxy knows: an instance may believe it.
 *
 * @param upgrade - The protocol that is asked for.
 */
export function requestHead(request: IncomingMessage, framing: RequestFraming, upgrade?: string): string {
  const { rawHeaders, headers, socket } = request;
  const listed = listedFields(headers.connection);
  let head = `${request.method} ${originForm(request.url ?? '/')} HTTP/1.1\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (listed.length > 0 || special[name.length] === true || (name.charCodeAt(0) | 32) === letterX) {
      const lower = dashed(name);
      if (isConnectionField(lower) || isForwardingField(lower) || listed.includes(name.toLowerCase())) continue;
    }
    head += `${name}: ${rawHeaders[index + 1]}\r\n`;
  }
  const { host } = headers;
  if (host === undefined) head += `host: ${socket.localAddress}:${socket.localPort}\r\n`;
  else head += `x-forwarded-host: ${host}\r\n`;
  head += `x-forwarded-proto: http\r\nx-forwarded-for: ${socket.remoteAddress ?? 'unknown'}\r\n`;
  if (framing === 'chunked') head += 'transfer-encoding: chunked\r\n';
  return upgrade === undefined
    ? `${head}connection: keep-alive\r\n\r\n`
    : `${head}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`;
}
