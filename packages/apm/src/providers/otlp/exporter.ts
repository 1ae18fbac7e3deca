import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { coreError, credential } from '@mnops/core';
import { countSchema, credentialSchema, parseOptions } from '@mnops/core/config';
import {
  errorFromResponse,
  type HttpClient,
  type HttpResponse,
  httpClient,
  isHttpClient,
  resourceUrl,
} from '@mnops/core/http';
import type { Call, Credential, ExportAnswer, JsonValue, SpanBatch, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { apmError } from '../../codes.js';
import { encodeOtlpJson } from './encode.js';

/** Where spans go, and how. */
export interface OtlpOptions {
  /** Base address of the receiver, such as `http://localhost:4318`; `/v1/traces` is added unless it ends so. */
  readonly url: string;
  /** Sent with every request, such as `{ 'api-key': 'secret://newrelic#key' }`. */
  readonly headers?: Readonly<Record<string, Credential>> | undefined;
  /** Default `none`. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Bytes of one request before compression; a larger batch is split. Default 4 MiB. */
  readonly maxRequestBytes?: number | undefined;
  /** Name in counters and events. Default `otlp`; needed when there are two. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 64 KiB. */
  readonly client?: HttpClient | undefined;
}

const optionsSchema = v.strictObject({
  url: v.pipe(
    v.string(),
    v.url(),
    v.check((text) => /^https?:\/\/[^@]+$/i.test(text), 'an http: or https: address without credentials'),
  ),
  headers: v.optional(v.record(v.string(), credentialSchema)),
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
 * Delivers spans by OTLP/HTTP in JSON: to an OpenTelemetry Collector, Jaeger, Tempo or any vendor that takes OTLP, and
 * to `otlpHandler` of another MNOps process.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is missing, unknown or malformed.
 */
export function otlp(options: OtlpOptions): TraceExporter {
  const {
    compression = 'none',
    maxRequestBytes = 4_194_304,
    id = 'otlp',
    headers = {},
    ...rest
  } = parseOptions('otlp', optionsSchema, options);
  const url = rest.url.replace(/\/+$/, '').endsWith('/v1/traces') ? rest.url : resourceUrl(rest.url, 'v1', 'traces');
  const client = rest.client ?? httpClient({ maxBytes: 65_536, maxDepth: 16 });

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
      const text = Buffer.from(encodeOtlpJson(batch));
      if (text.length > maxRequestBytes) {
        throw coreError(
          'MNOPS_CORE_TOO_LARGE',
          `The batch has ${text.length} bytes, the limit is ${maxRequestBytes}.`,
          {
            provider: id,
            operation: 'export',
          },
        );
      }
      const response = await client.request({
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/json',
          ...encodingHeader(compression),
          ...(await resolved(headers, call)),
        },
        body: compression === 'gzip' ? await compress(text) : text,
        signal: call.signal,
      });
      return answerOf(response, batch, id);
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (rest.client === undefined) await client.close();
    },
  };
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
    throw apmError('MNOPS_APM_EXPORT_REJECTED', `The receiver refused the spans with status ${status}.`, context);
  }
  if (response.bytes.length === 0) return { accepted: batch.spanCount, rejected: 0 };
  const body = response.json<JsonValue>();
  const partial = (body as { partialSuccess?: { rejectedSpans?: unknown; errorMessage?: unknown } } | null)
    ?.partialSuccess;
  const rejected = Math.min(batch.spanCount, Math.max(0, Math.trunc(Number(partial?.rejectedSpans ?? 0)) || 0));
  const message = partial?.errorMessage;
  return {
    accepted: batch.spanCount - rejected,
    rejected,
    ...(typeof message === 'string' && message !== '' ? { message: message.slice(0, 1_000) } : {}),
  };
}
