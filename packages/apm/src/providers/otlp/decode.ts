import { safeJsonParse } from '@mnops/core/http';
import type { JsonValue } from '@mnops/core/spi';
import { apmError } from '../../codes.js';
import { type DecodedSpans, maxDepth } from '../../encoding/decoded-spans.js';
import { spansOfOtlpJson } from '../../encoding/otlp-json-decode.js';

/**
 * Reads an `ExportTraceServiceRequest` in the JSON encoding of OTLP. Unknown fields are ignored; a span that cannot be
 * used is counted, and the others are taken.
 *
 * @throws {MnopsError} `MNOPS_APM_SPANS_INVALID` when the text is not such a request at all.
 */
export function decodeOtlpJson(text: string): DecodedSpans {
  let request: JsonValue;
  try {
    request = safeJsonParse(text, { maxDepth });
  } catch {
    throw apmError('MNOPS_APM_SPANS_INVALID', `The body is no JSON of at most ${maxDepth} levels.`);
  }
  return spansOfOtlpJson(request);
}
