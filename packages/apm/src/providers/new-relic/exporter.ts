import { countSchema, credentialSchema, parseOptions } from '@mnops/core/config';
import { type HttpClient, isHttpClient } from '@mnops/core/http';
import type { Credential, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { otlpExporter } from '../otlp/exporter.js';
import { cutBatch } from './cut-values.js';

/** Which New Relic, and how spans go there. */
export interface NewRelicOptions {
  /** Where the account is kept. Default `us`. */
  readonly region?: 'us' | 'eu' | 'fedramp' | undefined;
  /** License key, sent as `api-key`; a reference such as `secret://newrelic#key` is resolved at each request. */
  readonly apiKey: Credential;
  /** Default `gzip`. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Milliseconds for one exchange. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Another address, such as a proxy's; `https:` only, because the key goes with every request. */
  readonly url?: string | undefined;
  /** Name in counters and events. Default `new-relic`; needed when there are two. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 64 KiB. */
  readonly client?: HttpClient | undefined;
}

const endpoints = {
  us: 'https://otlp.nr-data.net',
  eu: 'https://otlp.eu01.nr-data.net',
  fedramp: 'https://gov-otlp.nr-data.net',
} as const;

const optionsSchema = v.strictObject({
  region: v.optional(v.picklist(['us', 'eu', 'fedramp'])),
  apiKey: credentialSchema,
  compression: v.optional(v.picklist(['gzip', 'none'])),
  timeoutMs: v.optional(countSchema),
  url: v.optional(
    v.pipe(
      v.string(),
      v.url(),
      v.check((text) => /^https:\/\/[^@]+$/i.test(text), 'an https: address without credentials'),
    ),
  ),
  id: v.optional(v.pipe(v.string(), v.nonEmpty())),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HTTP client')),
});

/** New Relic refuses payloads over 1 MB, before and after compression. */
const maxRequestBytes = 1_000_000;

/**
 * Delivers spans to New Relic by OTLP in protobuf: payloads of at most 1 MB, and texts in attributes of at most 4,095
 * characters, because New Relic takes no longer ones.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is missing, unknown or malformed.
 */
export function newRelic(options: NewRelicOptions): TraceExporter {
  const {
    region = 'us',
    apiKey,
    url,
    compression = 'gzip',
    id = 'new-relic',
    ...rest
  } = parseOptions('newRelic', optionsSchema, options);
  const exporter = otlpExporter({
    ...rest,
    id,
    url: url ?? endpoints[region],
    headers: { 'api-key': apiKey },
    compression,
    maxRequestBytes,
  });
  return { ...exporter, export: (batch, call) => exporter.export(cutBatch(batch), call) };
}
