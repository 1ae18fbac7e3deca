import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { coreError, credential, MnopsError } from '@mnops/core';
import { countSchema, credentialSchema } from '@mnops/core/config';
import {
  errorFromResponse,
  type HttpClient,
  type HttpResponse,
  httpClient,
  isHttpClient,
  resourceUrl,
} from '@mnops/core/http';
import type {
  Call,
  Credential,
  ExportAnswer,
  SpanBatch,
  TraceExporter,
  TraceExporterCapabilities,
} from '@mnops/core/spi';
import * as v from 'valibot';
import { apmError } from '../codes.js';
import { exporterIdSchema } from './exporter-id.js';

/** What every exporter over HTTP can be told. */
export interface ReceiverOptions {
  /** Bytes of one request before compression; a larger batch is split. */
  readonly maxRequestBytes?: number | undefined;
  /** Milliseconds for one exchange. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Name in counters and events; needed when there are two of a kind. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 1 MiB. */
  readonly client?: HttpClient | undefined;
}

/** Checks of `ReceiverOptions`. */
export const receiverSchema: {
  readonly maxRequestBytes: v.OptionalSchema<v.GenericSchema<number>, undefined>;
  readonly timeoutMs: v.OptionalSchema<v.GenericSchema<number>, undefined>;
  readonly id: v.OptionalSchema<v.GenericSchema<string>, undefined>;
  readonly client: v.OptionalSchema<v.GenericSchema<HttpClient>, undefined>;
} = {
  maxRequestBytes: v.optional(countSchema),
  timeoutMs: v.optional(countSchema),
  id: v.optional(exporterIdSchema),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HTTP client')),
};

/** How bodies may be compressed. */
export const compressionSchema: v.GenericSchema<'gzip' | 'none'> = v.picklist(['gzip', 'none']);

/** An address that holds no password, since addresses are shown. */
export const addressSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.url(),
  v.check((text) => /^https?:\/\/[^@]+$/i.test(text), 'an http: or https: address without credentials'),
);

/** Where a receiver is. */
export interface ReceiverAddress {
  /** Without the path of its protocol. */
  readonly base: URL;
  /** Where spans go. */
  readonly url: URL;
}

/**
 * Base address and whole address, from whichever of both was given; a query stays.
 *
 * @param path - Segments of the protocol's own path, such as `v1` and `traces`.
 */
export function receiverAddress(given: string, ...path: readonly string[]): ReceiverAddress {
  const base = new URL(given);
  const segments = base.pathname.split('/').filter((segment) => segment !== '');
  const isWhole = path.every((segment, index) => segments[segments.length - path.length + index] === segment);
  if (isWhole) base.pathname = segments.slice(0, -path.length).join('/');
  return { base, url: resourceUrl(base, ...path) };
}

/** Headers of every request. The issue names none of them: what is not a name may be a line with a credential. */
export const headersSchema: v.GenericSchema<Readonly<Record<string, Credential>>> = v.pipe(
  // `Headers` and `Map` have no fields of their own: nothing would be sent.
  v.custom<Readonly<Record<string, Credential>>>(isPlainObject, 'a plain object of names and values'),
  v.record(v.string(), credentialSchema),
  v.check(
    (headers) => Object.keys(headers).every((name) => /^[-!#$%&'*+.^_`|~\w]+$/.test(name)),
    'names of HTTP headers, without blanks and colons',
  ),
);

function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** One batch as its back end wants it. */
export interface SpanRequest {
  /** Beside `content-encoding`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Before compression. */
  readonly body: Uint8Array;
  /**
   * What the answer says of the batch, whatever its status.
   *
   * @throws {MnopsError} When the back end did not take it; see `refusalOf`.
   */
  answer(response: HttpResponse): ExportAnswer;
}

/** An exporter over HTTP, but for what its protocol says. */
export interface HttpExporterOptions {
  readonly id: string;
  readonly capabilities: Omit<TraceExporterCapabilities, 'maxSpansPerRequest' | 'delivers'>;
  /** Credentials by the names of their options. */
  readonly credentials?: Readonly<Record<string, Credential | undefined>> | undefined;
  readonly method: 'POST' | 'PUT';
  readonly url: string | URL;
  readonly compression: 'gzip' | 'none';
  /** Default 10,000. */
  readonly timeoutMs: number | undefined;
  /** A client of the user; it is not closed. */
  readonly client: HttpClient | undefined;
  /** @param batch - Never empty. */
  request(batch: SpanBatch, call: Call): SpanRequest | Promise<SpanRequest>;
}

const defaultTimeoutMs = 10_000;
const compress = promisify<Uint8Array, Buffer>(gzip);

/** An exporter that makes one HTTP request of each batch. */
export function httpExporter(options: HttpExporterOptions): TraceExporter {
  const { id, capabilities, method, url, compression, timeoutMs = defaultTimeoutMs, client: given } = options;
  const credentials = Object.entries(options.credentials ?? {});
  const client = given ?? receiverClient();
  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: { ...capabilities, maxSpansPerRequest: 10_000, delivers: 'remote' },
    referenceFields: credentials.flatMap(([field, value]) =>
      typeof value === 'string' && value.startsWith('secret://') ? [field] : [],
    ),
    async export(batch, call) {
      if (batch.spanCount === 0) return { accepted: 0, rejected: 0 };
      const { headers, body, answer } = await options.request(batch, call);
      assertFits(body.length, capabilities.maxRequestBytes, id);
      const isPacked = compression === 'gzip';
      const request = {
        method,
        url,
        headers: isPacked ? { ...headers, 'content-encoding': 'gzip' } : headers,
        // Away from the main thread.
        body: isPacked ? await compress(body) : body,
        signal: call.signal,
        timeoutMs,
      };
      return answer(await client.request(request).catch((error: unknown) => Promise.reject(ofAnswer(error, id))));
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (given === undefined) await client.close();
    },
  };
}

/** The client of an exporter that was given none. */
export function receiverClient(): HttpClient {
  return httpClient({ maxBytes: 1_048_576, maxDepth: 16 });
}

/** Whether the back end took the request. */
export function isTaken({ status }: HttpResponse): boolean {
  return status >= 200 && status <= 299;
}

/** The statuses after which the same request may be sent again, or that say something of their own. */
const telling = [401, 403, 404, 407, 408, 413, 429, 502, 503, 504];

/**
 * The error for an answer without success: the status's own code, or `MNOPS_APM_EXPORT_REJECTED` where the back end
 * refuses these spans for good.
 *
 * @param words - The back end's own reason, if it gave one.
 */
export function refusalOf(
  response: HttpResponse,
  provider: string,
  words?: string,
  statuses: readonly number[] = telling,
): MnopsError {
  const context = { provider, operation: 'export' };
  const { status } = response;
  if (statuses.includes(status)) return errorFromResponse(response, context);
  const said = words === undefined ? '' : `: ${words}`;
  return apmError('MNOPS_APM_EXPORT_REJECTED', `The receiver refused the spans with status ${status}${said}.`, context);
}

/** The values of headers by the names of their options. */
export function headerFields(headers: Readonly<Record<string, Credential>>): Record<string, Credential> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [`headers.${name}`, value]));
}

/** Headers with their secret references resolved. */
export async function resolvedHeaders(
  headers: Readonly<Record<string, Credential>>,
  call: Call,
): Promise<Record<string, string>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([name, value]) => [name, await credential(value, call)] as const),
  );
  return Object.fromEntries(entries);
}

/** An answer that is too large says nothing of the request: the host would send that again in parts. */
function ofAnswer(error: unknown, provider: string): unknown {
  if (!MnopsError.is(error, 'MNOPS_CORE_TOO_LARGE')) return error;
  return coreError('MNOPS_CORE_RESPONSE_INVALID', error.message, { provider, operation: 'export' });
}

/** Before it is sent: the error makes the host split the batch. */
function assertFits(bytes: number, maxRequestBytes: number, provider: string): void {
  if (bytes <= maxRequestBytes) return;
  throw coreError('MNOPS_CORE_TOO_LARGE', `The batch has ${bytes} bytes, the limit is ${maxRequestBytes}.`, {
    provider,
    operation: 'export',
  });
}
