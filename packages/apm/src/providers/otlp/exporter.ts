import { parseOptions } from '@mnops/core/config';
import type { HttpResponse } from '@mnops/core/http';
import type { Credential, ExportAnswer, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { otlpJsonBytes } from '../../encoding/otlp-json.js';
import { encodeOtlpProtobuf } from '../../encoding/otlp-protobuf.js';
import {
  addressSchema,
  compressionSchema,
  headerFields,
  headersSchema,
  httpExporter,
  isTaken,
  type ReceiverOptions,
  receiverAddress,
  receiverSchema,
  refusalOf,
  resolvedHeaders,
} from '../http-exporter.js';
import { contentTypes, exportAnswerOf, statusMessageOf } from './answers.js';

/** Where spans go, and how. `maxRequestBytes` is 4 MiB and `id` is `otlp` unless given. */
export interface OtlpOptions extends ReceiverOptions {
  /** Base address of the receiver, such as `http://localhost:4318`, or the whole one, which ends in `/v1/traces`. */
  readonly url: string;
  /** Sent with every request, such as `{ 'api-key': 'secret://newrelic#key' }`. */
  readonly headers?: Readonly<Record<string, Credential>> | undefined;
  /** Encoding of requests. Default `protobuf`, which is a third of the bytes and of the work of `json`. */
  readonly protocol?: 'protobuf' | 'json' | undefined;
  /** Default `none`. */
  readonly compression?: 'gzip' | 'none' | undefined;
}

const optionsSchema = v.strictObject({
  ...receiverSchema,
  url: addressSchema,
  headers: v.optional(headersSchema),
  protocol: v.optional(v.picklist(['protobuf', 'json'])),
  compression: v.optional(compressionSchema),
});

/** Statuses that say something of their own, and those after which OTLP allows the same request again. */
const telling = [401, 403, 404, 407, 413, 429, 502, 503, 504];

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
  const { protocol = 'protobuf', compression = 'none', maxRequestBytes = 4_194_304 } = options;
  const { id = 'otlp', headers = {}, url, timeoutMs, client } = options;
  return httpExporter({
    id,
    capabilities: { maxRequestBytes, partialSuccess: true, safeToRepeat: true },
    credentials: headerFields(headers),
    method: 'POST',
    url: receiverAddress(url, 'v1', 'traces').url,
    compression,
    timeoutMs,
    client,
    request: async (batch, call) => ({
      headers: { 'content-type': contentTypes[protocol], ...(await resolvedHeaders(headers, call)) },
      body: protocol === 'json' ? otlpJsonBytes(batch) : encodeOtlpProtobuf(batch),
      answer: (response) => answerOf(response, batch.spanCount, id),
    }),
  });
}

function answerOf(response: HttpResponse, spanCount: number, id: string): ExportAnswer {
  if (!isTaken(response)) throw refusalOf(response, id, statusMessageOf(response), telling);
  const { rejectedSpans, message } = exportAnswerOf(response, { provider: id, operation: 'export' });
  const rejected = Math.min(spanCount, rejectedSpans);
  return { accepted: spanCount - rejected, rejected, ...(message === undefined ? {} : { message }) };
}
