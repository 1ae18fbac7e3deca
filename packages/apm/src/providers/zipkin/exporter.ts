import { parseOptions } from '@mnops/core/config';
import type { Credential, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
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
import { encodeZipkin } from './encode.js';

/** Where spans go, and how. `maxRequestBytes` is 4 MiB and `id` is `zipkin` unless given. */
export interface ZipkinOptions extends ReceiverOptions {
  /** Base address of the server, or the whole one, which ends in `/api/v2/spans`. Default `http://localhost:9411`. */
  readonly url?: string | undefined;
  /** Sent with every request, for a gateway in front of the server. */
  readonly headers?: Readonly<Record<string, Credential>> | undefined;
  /** Default `none`. */
  readonly compression?: 'gzip' | 'none' | undefined;
}

const optionsSchema = v.strictObject({
  ...receiverSchema,
  url: v.optional(addressSchema),
  headers: v.optional(headersSchema),
  compression: v.optional(compressionSchema),
});

/**
 * Delivers spans to Zipkin, or to anything that takes Zipkin v2 JSON.
 *
 * Zipkin has no links between spans and no times below a microsecond; both are left out.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function zipkin(options: ZipkinOptions = {}): TraceExporter {
  const {
    url: base = 'http://localhost:9411',
    maxRequestBytes = 4_194_304,
    id = 'zipkin',
    headers = {},
    compression = 'none',
    ...rest
  } = parseOptions('zipkin', optionsSchema, options);
  return httpExporter({
    id,
    capabilities: { maxRequestBytes, partialSuccess: false, safeToRepeat: true },
    credentials: headerFields(headers),
    method: 'POST',
    url: receiverAddress(base, 'api', 'v2', 'spans').url,
    compression,
    timeoutMs: rest.timeoutMs,
    client: rest.client,
    request: async (batch, call) => ({
      headers: { 'content-type': 'application/json', ...(await resolvedHeaders(headers, call)) },
      body: Buffer.from(encodeZipkin(batch)),
      answer: (response) => {
        if (!isTaken(response)) throw refusalOf(response, id);
        return { accepted: batch.spanCount, rejected: 0 };
      },
    }),
  });
}
