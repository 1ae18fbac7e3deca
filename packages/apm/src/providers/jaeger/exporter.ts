import { countSchema, parseOptions } from '@mnops/core/config';
import { type HttpClient, isHttpClient } from '@mnops/core/http';
import type { TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { addressSchema, otlpExporter } from '../otlp/exporter.js';

/** Where Jaeger is, and how spans go there. */
export interface JaegerOptions {
  /** Address of its OTLP/HTTP receiver. Default `http://localhost:4318`. */
  readonly url?: string | undefined;
  /** Default `none`: Jaeger is mostly near. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Bytes of one request before compression; a larger batch is split. Default 4 MiB. */
  readonly maxRequestBytes?: number | undefined;
  /** Milliseconds for one exchange. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Name in counters and events. Default `jaeger`; needed when there are two. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 64 KiB. */
  readonly client?: HttpClient | undefined;
}

const optionsSchema = v.strictObject({
  url: v.optional(addressSchema),
  compression: v.optional(v.picklist(['gzip', 'none'])),
  maxRequestBytes: v.optional(countSchema),
  timeoutMs: v.optional(countSchema),
  id: v.optional(v.pipe(v.string(), v.nonEmpty())),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HTTP client')),
});

/**
 * Delivers spans to Jaeger 1.35 or newer by OTLP, which is its own way in since its former protocols ended. Its OTLP
 * receiver must be on: `--collector.otlp.enabled=true` in 1.x.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function jaeger(options: JaegerOptions = {}): TraceExporter {
  const given = parseOptions('jaeger', optionsSchema, options);
  return otlpExporter({ ...given, url: given.url ?? 'http://localhost:4318', id: given.id ?? 'jaeger' });
}
