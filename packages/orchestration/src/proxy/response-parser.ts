import { isConnectionField, isFieldName, isFieldValue, keepAliveTimeoutMs, listedFields } from './http-fields.js';

/** Start of an answer, without the fields that belong to the upstream connection. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  /** Names and values in turn, as they came. */
  readonly fields: string[];
  /** Bytes of the body where the answer says so. */
  readonly contentLength: number | undefined;
}

/** Who takes what the parser finds. */
export interface ResponseSink {
  /** An interim answer (1xx but 101). */
  onInterim(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  /** Part of the body; the bytes stay valid after the call. */
  onBody(chunk: Buffer): void;
  /** The answer is whole. `trailers`: names and values in turn. */
  onEnd(trailers: readonly string[]): void;
}

/** What is wrong with an answer that was refused. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

type State = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailers' | 'done';

const empty = Buffer.alloc(0);
const maxChunkLineBytes = 1_024;

/**
 * Reads HTTP/1.x answers from one connection, strictly: conflicting lengths, folded fields, bare line feeds and bad chunk
 * sizes are refused (RFC 9112), because two readers that disagree about a length are how requests get smuggled.
 */
export class ResponseParser {
  /** Whether the connection may carry another request once the answer is whole. */
  reusable = true;
  /** Whether the answer was a 101: what follows belongs to another protocol. */
  upgraded = false;
  /** How long the other side keeps an idle connection, where it says so. */
  idleTimeoutMs: number | undefined;
  readonly #sink: ResponseSink;
  readonly #maxHeadBytes: number;
  #state: State = 'done';
  #rest: Buffer = empty;
  #remaining = 0;
  #bodyless = false;
  #trailers: string[] = [];

  constructor(sink: ResponseSink, maxHeadBytes: number) {
    this.#sink = sink;
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** Expects the answer to a request with this method. */
  expect(method: string): void {
    this.#state = 'head';
    this.#bodyless = method === 'HEAD';
    this.#trailers = [];
    this.reusable = true;
    this.upgraded = false;
  }

  /**
   * Takes bytes.
   *
   * @returns Bytes behind the end of the answer, or of a 101, that belong to something else.
   * @throws {InvalidResponse}
   */
  execute(chunk: Buffer): Buffer {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = empty;
    }
    while (bytes.length > 0 && this.#state !== 'done') {
      const next = this.#step(bytes);
      if (next === undefined) {
        this.#rest = bytes;
        return empty;
      }
      bytes = next;
    }
    return bytes;
  }

  /** The connection ended. Returns whether the answer is whole by that. */
  finish(): boolean {
    if (this.#state !== 'until-close') return this.#state === 'done';
    this.#end();
    return true;
  }

  #step(bytes: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes);
      case 'length':
      case 'chunk-data':
        return this.#data(bytes);
      case 'until-close':
        this.#sink.onBody(bytes);
        return empty;
      case 'chunk-size':
        return this.#chunkSize(bytes);
      case 'chunk-end':
        return this.#chunkEnd(bytes);
      default:
        return this.#trailer(bytes);
    }
  }

  #end(): void {
    this.#state = 'done';
    this.#sink.onEnd(this.#trailers);
  }

  #data(bytes: Buffer): Buffer {
    const take = Math.min(this.#remaining, bytes.length);
    this.#remaining -= take;
    this.#sink.onBody(take === bytes.length ? bytes : bytes.subarray(0, take));
    if (this.#remaining === 0) {
      if (this.#state === 'length') this.#end();
      else this.#state = 'chunk-end';
    }
    return bytes.subarray(take);
  }

  #line(bytes: Buffer, limit: number): string | undefined {
    const end = bytes.indexOf('\r\n', 0, 'latin1');
    if (end > limit || (end < 0 && bytes.length > limit)) throw new InvalidResponse('A line is over its limit.');
    return end < 0 ? undefined : bytes.toString('latin1', 0, end);
  }

  #chunkSize(bytes: Buffer): Buffer | undefined {
    const line = this.#line(bytes, maxChunkLineBytes);
    if (line === undefined) return undefined;
    const size = /^([0-9a-fA-F]{1,13})[ \t]*(?:;[^\0-\x08\x0a-\x1f\x7f]*)?$/.exec(line)?.[1];
    if (size === undefined) throw new InvalidResponse('A chunk size is not a number.');
    this.#remaining = Number.parseInt(size, 16);
    this.#state = this.#remaining === 0 ? 'trailers' : 'chunk-data';
    return bytes.subarray(line.length + 2);
  }

  #chunkEnd(bytes: Buffer): Buffer | undefined {
    if (bytes.length < 2) return undefined;
    if (bytes[0] !== 13 || bytes[1] !== 10) throw new InvalidResponse('A chunk is longer than its size says.');
    this.#state = 'chunk-size';
    return bytes.subarray(2);
  }

  #trailer(bytes: Buffer): Buffer | undefined {
    const line = this.#line(bytes, this.#maxHeadBytes);
    if (line === undefined) return undefined;
    if (line === '') {
      this.#end();
    } else {
      const [name, value] = field(line);
      if (this.#trailers.length >= 200) throw new InvalidResponse('There are too many trailers.');
      if (!isConnectionField(name.toLowerCase())) this.#trailers.push(name, value);
    }
    return bytes.subarray(line.length + 2);
  }

  #head(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
    if (end > this.#maxHeadBytes || (end < 0 && bytes.length > this.#maxHeadBytes)) {
      throw new InvalidResponse('The fields of the answer are over their limit.');
    }
    if (end < 0) return undefined;
    this.#readHead(bytes.toString('latin1', 0, end));
    return bytes.subarray(end + 4);
  }

  #readHead(text: string): void {
    let lineEnd = text.indexOf('\r\n');
    const status = statusLine(lineEnd < 0 ? text : text.slice(0, lineEnd));
    const fields: string[] = [];
    let contentLength: number | undefined;
    let chunked = false;
    let connection: string | undefined;
    while (lineEnd >= 0) {
      const start = lineEnd + 2;
      lineEnd = text.indexOf('\r\n', start);
      const [name, value] = field(lineEnd < 0 ? text.slice(start) : text.slice(start, lineEnd));
      const lower = name.toLowerCase();
      if (lower === 'content-length') {
        const length = lengthOf(value);
        if (contentLength !== undefined) throw new InvalidResponse('The answer has more than one length.');
        contentLength = length;
      } else if (lower === 'transfer-encoding') {
        if (chunked || value.toLowerCase() !== 'chunked')
          throw new InvalidResponse('The transfer encoding is unknown.');
        chunked = true;
      } else if (lower === 'connection') {
        connection = connection === undefined ? value : `${connection},${value}`;
      } else if (lower === 'keep-alive') {
        this.idleTimeoutMs = keepAliveTimeoutMs(value);
      }
      if (lower === 'transfer-encoding' || (status.code !== 101 && isConnectionField(lower))) continue;
      fields.push(name, value);
    }
    if (chunked && (contentLength !== undefined || status.minor === 0)) {
      throw new InvalidResponse('The answer is chunked and has a length, or is of HTTP/1.0.');
    }
    const options = connection?.toLowerCase() ?? '';
    if (options.includes('close') || (status.minor === 0 && !options.includes('keep-alive'))) this.reusable = false;
    this.#settle(status, withoutListed(fields, status.code === 101 ? undefined : connection), contentLength, chunked);
  }

  #settle(status: StatusLine, fields: string[], contentLength: number | undefined, chunked: boolean): void {
    const head: ResponseHead = { status: status.code, statusText: status.text, fields, contentLength };
    if (status.code < 200 && status.code !== 101) {
      this.#sink.onInterim(head);
      return;
    }
    // Set before the sink hears of the head: for an empty body it may look at the parser at once.
    const bodyless = this.#bodyless || status.code === 101 || status.code === 204 || status.code === 304;
    if (bodyless || contentLength === 0) this.#state = 'done';
    else if (chunked) this.#state = 'chunk-size';
    else if (contentLength !== undefined) this.#state = 'length';
    else this.#state = 'until-close';
    this.upgraded = status.code === 101;
    this.#remaining = contentLength ?? 0;
    if (this.#state === 'until-close') this.reusable = false;
    this.#sink.onHead(head);
    if (this.#state === 'done') this.#end();
  }
}

interface StatusLine {
  readonly minor: 0 | 1;
  readonly code: number;
  readonly text: string;
}

function statusLine(line: string): StatusLine {
  const match = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: (.*))?$/.exec(line);
  if (match === null || !isFieldValue(match[3] ?? '')) throw new InvalidResponse('The status line is malformed.');
  return { minor: match[1] === '0' ? 0 : 1, code: Number(match[2]), text: match[3] ?? '' };
}

function field(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon));
  const value = line.slice(colon + 1).trim();
  if (!isFieldName(name) || !isFieldValue(value)) throw new InvalidResponse('A field is malformed.');
  return [name, value];
}

function lengthOf(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidResponse('The length is not a number.');
  return Number(value);
}

function withoutListed(fields: string[], connection: string | undefined): string[] {
  const listed = listedFields(connection);
  if (listed.length === 0) return fields;
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (!listed.includes(fields[index]!.toLowerCase())) kept.push(fields[index]!, fields[index + 1]!);
  }
  return kept;
}
