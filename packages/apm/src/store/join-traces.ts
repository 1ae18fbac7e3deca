import type { Span } from '@mnops/core/spi';
import type { HeldTrace } from './trace-ring.js';

/** One trace from two parts of it, each span once. */
export function joinTraces(first: HeldTrace, second: HeldTrace): HeldTrace {
  const known = new Set(first.spans.map((span) => span.spanId));
  const spans: Span[] = [...first.spans, ...second.spans.filter((span) => !known.has(span.spanId))];
  return {
    traceId: first.traceId,
    spans,
    startMs: Math.min(first.startMs, second.startMs),
    endMs: Math.max(first.endMs, second.endMs),
    hasError: first.hasError || second.hasError,
    cut: Math.max(first.cut, second.cut),
  };
}
