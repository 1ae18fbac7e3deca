import { credentialSchema, parseOptions } from '@mnops/core/config';
import type { Credential, SpanBatch, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { shortenAttributes, shortenSpan } from '../../encoding/shorten-span.js';
import { compressionSchema, type ReceiverOptions, receiverSchema } from '../http-exporter.js';
import { otlpExporter } from '../otlp/exporter.js';

/** Which New Relic, and how spans go there. `id` is `new-relic` unless given. */
export interface NewRelicOptions extends Omit<ReceiverOptions, 'maxRequestBytes'> {
  /** Where the account is kept. Default `us`. */
  readonly region?: 'us' | 'eu' | 'fedramp' | undefined;
  /** License key, sent as `api-key`; a reference such as `secret://newrelic#key` is resolved at each request. */
  readonly apiKey: Credential;
  /** Default `gzip`. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Another base address, such as a proxy's, or a whole one, which ends in `/v1/traces`; `https:` only, because the key goes with every request. */
  readonly url?: string | undefined;
}

const endpoints = {
  us: 'https://otlp.nr-data.net',
  eu: 'https://otlp.eu01.nr-data.net',
  fedramp: 'https://gov-otlp.nr-data.net',
} as const;

const { maxRequestBytes: _, ...receiver } = receiverSchema;
const optionsSchema = v.strictObject({
  ...receiver,
  region: v.optional(v.picklist(['us', 'eu', 'fedramp'])),
  apiKey: credentialSchema,
  compression: v.optional(compressionSchema),
  url: v.optional(
    v.pipe(
      v.string(),
      v.url(),
      v.check((text) => /^https:\/\/[^@]+$/i.test(text), 'an https: address without credentials'),
    ),
  ),
});

/** New Relic refuses payloads over 1 MB, before and after compression. */
const maxRequestBytes = 1_000_000;
/** And texts over this many characters. */
const lengths = { text: 4_095 };

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
  const referenceFields = exporter.referenceFields?.map(() => 'apiKey');
  return { ...exporter, referenceFields, export: (batch, call) => exporter.export(shortened(batch), call) };
}

function shortened({ groups, spanCount }: SpanBatch): SpanBatch {
  return {
    spanCount,
    groups: groups.map(({ resource, scope, spans }) => ({
      resource: shortenAttributes(resource, lengths),
      scope,
      spans: spans.map((span) => shortenSpan(span, lengths)),
    })),
  };
}
