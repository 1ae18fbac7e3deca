import type { Span } from '@mnops/core/spi';

/** What became of spans that were handed in. */
export interface IngestReport {
  /** Spans taken; spans that were known already count too. */
  readonly accepted: number;
  /** Spans that are not valid. */
  readonly rejected: number;
  /** Spans among the accepted ones that were known already. */
  readonly repeated: number;
  /** Why spans were rejected; at most ten different reasons. */
  readonly reasons: readonly string[];
}

const traceIdForm = /^[0-9a-f]{32}$/;
const spanIdForm = /^[0-9a-f]{16}$/;
const kinds: readonly unknown[] = ['internal', 'server', 'client', 'producer', 'consumer'];
const statuses: readonly unknown[] = ['unset', 'ok', 'error'];
/** A day more than ten years: a longer span is a mistake of a clock. */
const longestNano = 3_660n * 86_400n * 1_000_000_000n;

/** What is wrong with a span from outside, or `undefined` when it can be used. */
export function spanProblem(span: Span): string | undefined {
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
  if (typeof span.startTimeUnixNano !== 'bigint' || span.startTimeUnixNano < 0n)
    return 'startTimeUnixNano is not a time';
  if (span.startTimeUnixNano > 0xffff_ffff_ffff_ffffn) return 'startTimeUnixNano is not a time';
  if (typeof span.durationNano !== 'bigint' || span.durationNano < 0n) return 'durationNano must not be negative';
  if (span.durationNano > longestNano) return 'durationNano is longer than ten years';
  if (!statuses.includes(span.status?.code)) return 'status is unknown';
  if (!isRecord(span.attributes) || !isRecord(span.resource)) return 'attributes and resource must be objects';
  if (!Array.isArray(span.events) || !Array.isArray(span.links)) return 'events and links must be lists';
  return isRecord(span.scope) ? undefined : 'scope must be an object';
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
