import { parseOptions } from '@mnops/core/config';
import type { TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { addressSchema, compressionSchema, type ReceiverOptions, receiverSchema } from '../http-exporter.js';
import { otlpExporter } from '../otlp/exporter.js';

/** Where Jaeger is, and how spans go there. `maxRequestBytes` is 4 MiB and `id` is `jaeger` unless given. */
export interface JaegerOptions extends ReceiverOptions {
  /** Base address of its OTLP/HTTP receiver, or the whole one, which ends in `/v1/traces`. Default `http://localhost:4318`. */
  readonly url?: string | undefined;
  /** Default `none`: Jaeger is mostly near. */
  readonly compression?: 'gzip' | 'none' | undefined;
}

const optionsSchema = v.strictObject({
  ...receiverSchema,
  url: v.optional(addressSchema),
  compression: v.optional(compressionSchema),
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
