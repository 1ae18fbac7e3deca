import type { SpanAttributes, SpanKindName } from '@mnops/core/spi';
import type { Context, Link, Span as OtelSpan, SpanKind } from '@opentelemetry/api';
import type { HeaderCarrier } from '../propagation/carrier.js';
import { spanKinds } from '../span-kinds.js';

/** How a span begins. */
export interface SpanOptions {
  /** Role in a call between services, by name or as OpenTelemetry's number. Default `internal`. */
  readonly kind?: SpanKindName | SpanKind | undefined;
  readonly attributes?: SpanAttributes | undefined;
  /** What the span belongs to: a context, or the headers of a request. Default: the active span. */
  readonly parent?: Context | HeaderCarrier | undefined;
  readonly links?: readonly Link[] | undefined;
  /** True: a new trace, whatever is active. */
  readonly root?: boolean | undefined;
}

/** OpenTelemetry's number of a span kind; anything unknown counts as internal. */
export function kindNumber(kind: SpanOptions['kind']): SpanKind {
  if (typeof kind === 'number') return kind;
  return Math.max(0, kind === undefined ? 0 : spanKinds.indexOf(kind));
}

/** Whether a parent is a context and not a set of headers, or anything else. Never throws. */
export function isContext(parent: unknown): parent is Context {
  try {
    const { getValue, setValue } = (parent ?? {}) as { getValue?: unknown; setValue?: unknown };
    return typeof getValue === 'function' && typeof setValue === 'function';
  } catch {
    return false;
  }
}

/** Runs the work of a span and ends the span with it, at once or when its promise settles. Errors pass through. */
export function runWithin<T>(span: OtelSpan, run: (span: OtelSpan) => T): T {
  let result: T;
  if (typeof run !== 'function') {
    // The rest of the user's program works without this span, so it gets no error of ours.
    span.setStatus({ code: errorStatus, message: 'No function was given that the span could measure.' });
    span.end();
    return undefined as T;
  }
  try {
    result = run(span);
  } catch (error) {
    fail(span, error);
    throw error;
  }
  if (!isThenable(result)) {
    span.end();
    return result;
  }
  return Promise.resolve(result).then(
    (value) => {
      span.end();
      return value;
    },
    (error: unknown) => {
      fail(span, error);
      throw error;
    },
  ) as T;
}

const errorStatus = 2;

function fail(span: OtelSpan, error: unknown): void {
  try {
    const message = error instanceof Error ? error.message : String(error);
    span.recordException(error instanceof Error ? error : message);
    span.setStatus({ code: errorStatus, message });
  } catch {
    // A value that cannot be read as text still is an error.
    span.setStatus({ code: errorStatus });
  }
  span.end();
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  try {
    return typeof (value as { then?: unknown }).then === 'function';
  } catch {
    // The work has returned it: what cannot be read here is handed on as it is.
    return false;
  }
}
