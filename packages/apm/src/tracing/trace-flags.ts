import type { Span, SpanContext } from '@opentelemetry/api';

const random = 0b10;

/**
 * Sets the flag `random` of W3C Trace Context Level 2, which the SDK knows nothing of: on the first span of a trace,
 * whose id is random here, and on further ones as the parent has it.
 */
export function setRandomFlag(
  span: Span,
  parent: SpanContext | undefined,
  valid: (context: SpanContext) => boolean,
): void {
  // Spans that record nothing may share one context without ids; those that record have ids, which need no look.
  if (!span.isRecording() && !valid(span.spanContext())) return;
  const context: { traceFlags: number; traceId: string } = span.spanContext();
  const isRandom = parent?.traceId === context.traceId ? (parent.traceFlags & random) !== 0 : true;
  if (isRandom) context.traceFlags |= random;
}
