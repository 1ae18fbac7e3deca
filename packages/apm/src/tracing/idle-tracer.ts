import type { Span, Tracer } from '@opentelemetry/api';

const invalidTraceId = '0'.repeat(32);
const invalidSpanId = '0'.repeat(16);

/** A span that records nothing. */
export function idleSpan(): Span {
  const span: Span = {
    spanContext: () => ({ traceId: invalidTraceId, spanId: invalidSpanId, traceFlags: 0 }),
    setAttribute: () => span,
    setAttributes: () => span,
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: () => span,
    updateName: () => span,
    end: () => undefined,
    isRecording: () => false,
    recordException: () => undefined,
  };
  return span;
}

/** A tracer whose spans record nothing, for the time before `start()` and after `stop()`. */
export function idleTracer(): Tracer {
  return {
    startSpan: () => idleSpan(),
    startActiveSpan: (...parameters: unknown[]) => {
      const run = parameters.at(-1);
      return typeof run === 'function' ? run(idleSpan()) : undefined;
    },
  };
}
