import type { Span, SpanAttributeValue } from '@mnops/core/spi';
import type { HeldTrace } from './trace-ring.js';

/** Which traces to find; every field that is given must hold. */
export interface TraceQuery {
  /** A service that took part. */
  readonly service?: string | undefined;
  /** Name of a span; together with `service`, of a span of that service. */
  readonly operation?: string | undefined;
  readonly minDurationMs?: number | undefined;
  /** True: only failed ones. False: only those without a failed span. */
  readonly error?: boolean | undefined;
  /** Earliest start. */
  readonly from?: Date | undefined;
  /** Latest start. */
  readonly to?: Date | undefined;
  /** Attributes that one span of the trace has, its resource included. */
  readonly attributes?: Readonly<Record<string, SpanAttributeValue>> | undefined;
  /** Traces at most. Default 100. */
  readonly limit?: number | undefined;
}

/** Whether a trace is what the query asks for. The cheap conditions come first. */
export function matchesQuery(trace: HeldTrace, query: TraceQuery): boolean {
  if (query.error !== undefined && query.error !== trace.hasError) return false;
  if (query.minDurationMs !== undefined && trace.endMs - trace.startMs < query.minDurationMs) return false;
  if (query.from !== undefined && trace.startMs < query.from.getTime()) return false;
  if (query.to !== undefined && trace.startMs > query.to.getTime()) return false;
  const { service, operation, attributes } = query;
  if (service !== undefined || operation !== undefined) {
    const found = trace.spans.some(
      (span) =>
        (service === undefined || span.resource['service.name'] === service) &&
        (operation === undefined || span.name === operation),
    );
    if (!found) return false;
  }
  return attributes === undefined || trace.spans.some((span) => hasAttributes(span, attributes));
}

function hasAttributes(span: Span, wanted: Readonly<Record<string, SpanAttributeValue>>): boolean {
  return Object.entries(wanted).every(([key, value]) => equal(span.attributes[key] ?? span.resource[key], value));
}

function equal(left: SpanAttributeValue | undefined, right: SpanAttributeValue): boolean {
  if (typeof right !== 'object') return left === right;
  return Array.isArray(left) && left.length === right.length && right.every((value, index) => value === left[index]);
}
