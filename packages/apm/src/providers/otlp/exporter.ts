import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { coreError, credential, type MnopsError } from '@mnops/core';
import { countSchema, credentialSchema, parseOptions } from '@mnops/core/config';
import {
  errorFromResponse,
  type HttpClient,
  type HttpResponse,
  httpClient,
  isHttpClient,
  resourceUrl,
} from '@mnops/core/http';
import type { Call, Credential, ExportAnswer, SpanBatch, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { apmError } from '../../codes.js';
import { otlpJsonBytes } from '../../encoding/otlp-json.js';
import { encodeOtlpProtobuf } from '../../encoding/otlp-protobuf.js';
import { contentTypes, exportAnswerOf, statusMessageOf } from './answers.js';

/** Where spans go, and how. */
export interface OtlpOptions {
  /** Base address of the receiver, such as `http://localhost:4318`; `/v1/traces` is added unless it ends so. */
  readonly url: string;
  /** Sent with every request, such as `{ 'api-key': 'secret://newrelic#key' }`. */
  readonly headers?: Readonly<Record<string, Credential>> | undefined;
  /** Encoding of requests. Default `protobuf`, which is a third of the bytes and of the work of `json`. */
  readonly protocol?: 'protobuf' | 'json' | undefined;
  /** Default `none`. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Bytes of one request before compression; a larger batch is split. Default 4 MiB. */
  readonly maxRequestBytes?: number | undefined;
  /** Milliseconds for one exchange. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Name in counters and events. Default `otlp`; needed when there are two. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 64 KiB. */
  readonly client?: HttpClient | undefined;
}

/** An address that may be shown: credentials belong into headers. */
export const addressSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.url(),
  v.check((text) => /^https?:\/\/[^@]+$/i.test(text), 'an http: or https: address without credentials'),
);

/** The issue names no header: what is not a name may be a line with a credential. */
const headersSchema = v.pipe(
  v.record(v.string(), credentialSchema),
  v.check(
    (headers) => Object.keys(headers).every((name) => /^[-!#$%&'*+.^_`|~\w]+$/.test(name)),
    'names of HTTP headers, without blanks and colons',
  ),
);

const optionsSchema = v.strictObject({
  url: addressSchema,
  headers: v.optional(headersSchema),
  protocol: v.optional(v.picklist(['protobuf', 'json'])),
  timeoutMs: v.optional(countSchema),
  compression: v.optional(v.picklist(['gzip', 'none'])),
  maxRequestBytes: v.optional(countSchema),
  id: v.optional(v.pipe(v.string(), v.nonEmpty())),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HTTP client')),
});

const compress = promisify(gzip);
/** Statuses after which OTLP allows the same request again. */
const repeatable = [429, 502, 503, 504];
/** Statuses that say something of their own; any other means that the spans are refused. */
const telling = [401, 403, 404, 407, 413];

/**
 * Delivers spans by OTLP/HTTP in protobuf or JSON: to an OpenTelemetry Collector, Jaeger, Tempo or any vendor that takes OTLP, and
 * to `otlpHandler` of another MNOps process.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is missing, unknown or malformed.
 */
export function otlp(options: OtlpOptions): TraceExporter {
  return otlpExporter(parseOptions('otlp', optionsSchema, options));
}

/** The exporter of options that are checked already; presets use it with options of their own. */
export function otlpExporter(options: OtlpOptions): TraceExporter {
  const { protocol = 'protobuf', compression = 'none', maxRequestBytes = 4_194_304, timeoutMs = 10_000 } = options;
  const { id = 'otlp', headers = {} } = options;
  const url = options.url.replace(/\/+$/, '').endsWith('/v1/traces')
    ? options.url
    : resourceUrl(options.url, 'v1', 'traces');
  const client = options.client ?? httpClient({ maxBytes: 65_536, maxDepth: 16 });

  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes,
      maxSpansPerRequest: 10_000,
      partialSuccess: true,
      safeToRepeat: true,
      delivers: 'remote',
    },
    async export(batch, call) {
      if (batch.spanCount === 0) return { accepted: 0, rejected: 0 };
      const bytes = protocol === 'json' ? otlpJsonBytes(batch) : encodeOtlpProtobuf(batch);
      if (bytes.length > maxRequestBytes) throw tooLarge(bytes.length, maxRequestBytes, id);
      const response = await client.request({
        method: 'POST',
        url,
        headers: {
          'content-type': contentTypes[protocol],
          ...encodingHeader(compression),
          ...(await resolved(headers, call)),
        },
        body: compression === 'gzip' ? await compress(bytes) : bytes,
        signal: call.signal,
        timeoutMs,
      });
      return answerOf(response, batch, id);
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (options.client === undefined) await client.close();
    },
  };
}

function tooLarge(bytes: number, limit: number, id: string): MnopsError {
  const context = { provider: id, operation: 'export' };
  return coreError('MNOPS_CORE_TOO_LARGE', `The batch has ${bytes} bytes, the limit is ${limit}.`, context);
}

function encodingHeader(compression: 'gzip' | 'none'): Record<string, string> {
  return compression === 'gzip' ? { 'content-encoding': 'gzip' } : {};
}

async function resolved(headers: Readonly<Record<string, Credential>>, call: Call): Promise<Record<string, string>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([name, value]) => [name, await credential(value, call)] as const),
  );
  return Object.fromEntries(entries);
}

function answerOf(response: HttpResponse, batch: SpanBatch, id: string): ExportAnswer {
  const { status } = response;
  const context = { provider: id, operation: 'export' };
  if (status < 200 || status > 299) {
    if (repeatable.includes(status) || telling.includes(status)) throw errorFromResponse(response, context);
    const words = statusMessageOf(response);
    const said = words === undefined ? '' : `: ${words}`;
    throw apmError(
      'MNOPS_APM_EXPORT_REJECTED',
      `The receiver refused the spans with status ${status}${said}.`,
      context,
    );
  }
  const { rejectedSpans, message } = exportAnswerOf(response, context);
  const rejected = Math.min(batch.spanCount, rejectedSpans);
  return { accepted: batch.spanCount - rejected, rejected, ...(message === undefined ? {} : { message }) };
}
