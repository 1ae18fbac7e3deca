import type { SpanBatch } from '@mnops/core/spi';
import { otlpJsonBytes } from '../encoding/otlp-json.js';

/** A batch in the JSON encoding of OTLP, as text. */
export function encodeOtlpJson(batch: SpanBatch): string {
  return Buffer.from(otlpJsonBytes(batch).buffer).toString('utf8');
}
