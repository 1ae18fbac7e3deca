import type { Span, SpanAttributes, SpanEvent, SpanLink } from '@mnops/core/spi';
import { spanKinds } from '../span-kinds.js';

const traceIdForm = /^[0-9a-f]{32}$/;
const spanIdForm = /^[0-9a-f]{16}$/;
const kinds: readonly unknown[] = spanKinds;
const statuses: readonly unknown[] = ['unset', 'ok', 'error'];
/** A day more than ten years: a longer span is a mistake of a clock. */
const longestNano = 3_660n * 86_400n * 1_000_000_000n;

/** What is wrong with a span from outside, or `undefined` when it can be used. Never throws. */
export function spanProblem(span: Span): string | undefined {
  try {
    return headProblem(span) ?? partProblem(span);
  } catch {
    // A getter or a proxy may throw at any field.
    return 'the span cannot be read';
  }
}

function headProblem(span: Span): string | undefined {
  if (typeof span !== 'object' || span === null) return 'a span must be an object';
  if (typeof span.traceId !== 'string' || !traceIdForm.test(span.traceId))
    return 'traceId must be 32 hexadecimal digits';
  if (typeof span.spanId !== 'string' || !spanIdForm.test(span.spanId)) return 'spanId must be 16 hexadecimal digits';
  if (/^0+$/.test(span.traceId) || /^0+$/.test(span.spanId)) return 'traceId and spanId must not be zero';
  const { parentSpanId } = span;
  if (parentSpanId !== undefined && (typeof parentSpanId !== 'string' || !spanIdForm.test(parentSpanId))) {
    return 'parentSpanId must be 16 hexadecimal digits';
  }
  if (typeof span.name !== 'string') return 'name must be text';
  if (!kinds.includes(span.kind)) return 'kind is unknown';
  if (typeof span.startTimeUnixNano === 'string') {
    return 'startTimeUnixNano must be a bigint; traceFromJson makes it from JSON';
  }
  if (typeof span.startTimeUnixNano !== 'bigint' || span.startTimeUnixNano < 0n)
    return 'startTimeUnixNano is not a time';
  if (span.startTimeUnixNano > 0xffff_ffff_ffff_ffffn) return 'startTimeUnixNano is not a time';
  if (typeof span.durationNano !== 'bigint' || span.durationNano < 0n) return 'durationNano must not be negative';
  if (span.durationNano > longestNano) return 'durationNano is longer than ten years';
  if (!statuses.includes(span.status?.code)) return 'status is unknown';
  return undefined;
}

function partProblem({ attributes, resource, events, links, scope, status, traceState }: Span): string | undefined {
  if (!isRecord(attributes) || !isRecord(resource)) return 'attributes and resource must be objects';
  if (!Array.isArray(events) || !Array.isArray(links)) return 'events and links must be lists';
  if (!isRecord(scope) || typeof scope.name !== 'string' || !isOptionalText(scope.version)) {
    return 'scope must be an object with a name';
  }
  if (!isOptionalText(status.message)) return 'status.message must be text';
  if (!isOptionalText(traceState)) return 'traceState must be text';
  if (!areAttributes(attributes) || !areAttributes(resource)) return 'an attribute has a value of another kind';
  if (!events.every(isEvent)) return 'an event is not valid';
  return links.every(isLink) ? undefined : 'a link is not valid';
}

function isEvent(event: SpanEvent): boolean {
  return (
    isRecord(event) &&
    typeof event.name === 'string' &&
    typeof event.timeUnixNano === 'bigint' &&
    isRecord(event.attributes) &&
    areAttributes(event.attributes)
  );
}

function isLink(link: SpanLink): boolean {
  return (
    isRecord(link) &&
    typeof link.traceId === 'string' &&
    typeof link.spanId === 'string' &&
    isOptionalText(link.traceState) &&
    (link.attributes === undefined || (isRecord(link.attributes) && areAttributes(link.attributes)))
  );
}

function areAttributes(attributes: SpanAttributes): boolean {
  for (const key in attributes) {
    const value: unknown = attributes[key];
    if (!isPlain(value) && !(Array.isArray(value) && value.every((one) => one === null || isPlain(one)))) return false;
  }
  return true;
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
