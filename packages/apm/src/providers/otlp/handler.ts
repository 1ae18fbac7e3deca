import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { codeOf, coreError, MnopsError } from '@mnops/core';
import { countSchema, parseOptions } from '@mnops/core/config';
import type { Span } from '@mnops/core/spi';
import * as v from 'valibot';
import { decodeOtlpProtobuf } from '../../encoding/otlp-protobuf-decode.js';
import { contentTypes, encodingOf, exportAnswer, type OtlpEncoding, statusAnswer } from './answers.js';
import { decodeOtlpJson } from './decode.js';

/** What takes spans in; a `PerformanceMonitoringManager` does. */
export interface SpanIntake {
  ingest(spans: Iterable<Span>): Promise<{ readonly rejected: number; readonly reasons: readonly string[] }>;
}

/** Bounds of the receiver. */
export interface OtlpHandlerOptions {
  /** Default `/v1/traces`. */
  readonly path?: string | undefined;
  /** Bytes of a body, before and after decompression. Default 8 MiB. */
  readonly maxBytes?: number | undefined;
  /** Requests worked on at once; further ones get 429. Default 32. */
  readonly maxConcurrent?: number | undefined;
  /** Milliseconds for a body to arrive. Default 10_000. */
  readonly timeoutMs?: number | undefined;
}

const intakeSchema = v.object({
  intake: v.custom<SpanIntake>(
    (value) => typeof (value as SpanIntake | undefined)?.ingest === 'function',
    'a PerformanceMonitoringManager, or something else that has `ingest`',
  ),
});
const optionsSchema = v.strictObject({
  path: v.optional(v.pipe(v.string(), v.startsWith('/'))),
  maxBytes: v.optional(countSchema),
  maxConcurrent: v.optional(countSchema),
  timeoutMs: v.optional(countSchema),
});

/** An answer that is not success: HTTP status, code of google.rpc.Status, and words. */
interface Refusal {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

const decompress = promisify(gunzip);

/**
 * A request listener for `node:http` that takes spans by OTLP/HTTP in protobuf or JSON, plain or gzip, and answers in the
 * encoding of the request.
 *
 * Answers 200 with `partialSuccess` (spans that could not be used are counted in it), 400 for a body that is no OTLP,
 * 404 and 405 for another path or method, 408 for a body that stalls, 413 for one that is too large, 415 for another
 * encoding, 429 when too many requests are under way, 503 when the manager is stopped.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed, or the intake is none.
 */
export function otlpHandler(
  intake: SpanIntake,
  options: OtlpHandlerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const {
    path = '/v1/traces',
    maxBytes = 8_388_608,
    maxConcurrent = 32,
    timeoutMs = 10_000,
  } = parseOptions('otlpHandler', optionsSchema, options);
  parseOptions('otlpHandler', intakeSchema, { intake });
  let running = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refusalOf(request, path, maxBytes);
    if (refusal !== undefined) return refuse(request, response, refusal);
    if (running >= maxConcurrent) {
      response.setHeader('retry-after', '1');
      return refuse(request, response, { status: 429, code: 8, message: 'Too many requests are under way.' });
    }
    running += 1;
    try {
      const body = await bodyOf(request, maxBytes, timeoutMs);
      const encoding = encodingOf(request.headers['content-type']) ?? 'json';
      const decoded = encoding === 'json' ? decodeOtlpJson(body.toString('utf8')) : decodeOtlpProtobuf(body);
      const { spans, rejected, reasons } = decoded;
      const report = await intake.ingest(spans);
      const lost = rejected + report.rejected;
      const errorMessage = [...reasons, ...report.reasons].join('; ');
      reply(response, 200, encoding, exportAnswer(encoding, lost, errorMessage));
    } catch (error) {
      refuse(request, response, failureOf(error));
    } finally {
      running -= 1;
    }
  }

  return (request, response) => {
    // A client that goes away is no failure of the server.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    void answer(request, response).catch(() => response.destroy());
  };
}

/** What the head of a request already forbids. */
function refusalOf(request: IncomingMessage, path: string, maxBytes: number): Refusal | undefined {
  const { method, headers, url = '' } = request;
  if (url.split('?', 1)[0] !== path) return { status: 404, code: 5, message: `Only ${path} is served.` };
  if (method !== 'POST') return { status: 405, code: 12, message: 'Only POST is served.' };
  if (encodingOf(headers['content-type']) === undefined) {
    const message = `Only OTLP is served (content-type: ${contentTypes.protobuf} or ${contentTypes.json}).`;
    return { status: 415, code: 3, message };
  }
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip') {
    return { status: 415, code: 3, message: 'Only the content encodings gzip and identity are served.' };
  }
  if (Number(headers['content-length'] ?? 0) > maxBytes) return tooLarge(maxBytes);
  return undefined;
}

async function bodyOf(request: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Buffer> {
  const body = await received(request, maxBytes, timeoutMs);
  if (request.headers['content-encoding']?.trim().toLowerCase() !== 'gzip') return body;
  return await decompress(body, { maxOutputLength: maxBytes });
}

/** The whole body. On failure the request stays open, for the answer to go out. */
function received(request: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      fail(coreError('MNOPS_CORE_TIMEOUT', `The body did not arrive within ${timeoutMs} ms.`));
    }, timeoutMs);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      request.off('data', take).pause();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxBytes) fail(coreError('MNOPS_CORE_TOO_LARGE', `The body is over ${maxBytes} bytes.`));
      else chunks.push(chunk);
    };
    request.on('data', take);
    request.on('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    request.on('close', () => fail(coreError('MNOPS_CORE_ABORTED', 'The client went away.')));
  });
}

function failureOf(error: unknown): Refusal {
  const code = codeOf(error);
  const message = MnopsError.is(error) ? error.message : 'The body could not be read.';
  switch (code) {
    case 'MNOPS_CORE_TOO_LARGE':
      return { status: 413, code: 8, message };
    case 'ERR_BUFFER_TOO_LARGE':
      return { status: 413, code: 8, message: 'The body is too large once decompressed.' };
    case 'MNOPS_CORE_TIMEOUT':
      return { status: 408, code: 4, message };
    case 'MNOPS_CORE_CLOSED':
      return { status: 503, code: 14, message };
    default:
      return { status: 400, code: 3, message };
  }
}

function tooLarge(maxBytes: number): Refusal {
  return { status: 413, code: 8, message: `The body is over ${maxBytes} bytes.` };
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, code, message }: Refusal): void {
  // What is left of the body is not read, so the connection cannot be used again.
  if (!request.complete) response.setHeader('connection', 'close');
  if (status === 405) response.setHeader('allow', 'POST');
  const encoding = encodingOf(request.headers['content-type']) ?? 'json';
  reply(response, status, encoding, statusAnswer(encoding, code, message));
}

function reply(response: ServerResponse, status: number, encoding: OtlpEncoding, body: Uint8Array): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': contentTypes[encoding], 'content-length': String(body.length) });
  response.end(body);
}
