import { credentialSchema, parseOptions } from '@mnops/core/config';
import { resourceUrl } from '@mnops/core/http';
import type { Credential, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import {
  addressSchema,
  assertFits,
  compressed,
  type ReceiverOptions,
  receiverClient,
  receiverSchema,
  refusalOf,
  resolvedHeaders,
} from '../../delivery/http-receiver.js';
import { encodeZipkin } from './encode.js';

/** Where spans go, and how. `maxRequestBytes` is 4 MiB and `id` is `zipkin` unless given. */
export interface ZipkinOptions extends ReceiverOptions {
  /** Base address of the server; `/api/v2/spans` is added unless it ends so. Default `http://localhost:9411`. */
  readonly url?: string | undefined;
  /** Sent with every request, for a gateway in front of the server. */
  readonly headers?: Readonly<Record<string, Credential>> | undefined;
  /** Default `none`. */
  readonly compression?: 'gzip' | 'none' | undefined;
}

const optionsSchema = v.strictObject({
  ...receiverSchema,
  url: v.optional(addressSchema),
  headers: v.optional(v.record(v.string(), credentialSchema)),
  compression: v.optional(v.picklist(['gzip', 'none'])),
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
    client: given,
  } = parseOptions('zipkin', optionsSchema, options);
  const isWhole = base.replace(/\/+$/, '').endsWith('/api/v2/spans');
  const url = isWhole ? base : resourceUrl(base, 'api', 'v2', 'spans');
  const client = given ?? receiverClient();

  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes,
      maxSpansPerRequest: 10_000,
      partialSuccess: false,
      safeToRepeat: true,
      delivers: 'remote',
    },
    async export(batch, call) {
      if (batch.spanCount === 0) return { accepted: 0, rejected: 0 };
      const text = Buffer.from(encodeZipkin(batch));
      assertFits(text.length, maxRequestBytes, id);
      const response = await client.request({
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/json',
          ...(compression === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
          ...(await resolvedHeaders(headers, call)),
        },
        body: compression === 'gzip' ? await compressed(text) : text,
        signal: call.signal,
      });
      if (response.status < 200 || response.status > 299) throw refusalOf(response, id);
      return { accepted: batch.spanCount, rejected: 0 };
    },
    // A client that was handed in belongs to its owner.
    async close() {
      if (given === undefined) await client.close();
    },
  };
}
