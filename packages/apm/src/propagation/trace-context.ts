import type { IncomingHeaders } from './carrier.js';
import { readTraceState, traceStateText } from './trace-state.js';

/** What `traceparent` and `tracestate` say about the caller's span. */
export interface RemoteSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly traceState: string | undefined;
}

const parentForm = /^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?[ \t]*$/;
const zeroes = /^0+$/;
/** `sampled` and `random`. */
const definedFlags = 0b11;

/**
 * Reads W3C Trace Context (Level 2) headers. Never throws.
 *
 * @returns `undefined` when there is no valid `traceparent`, or more than one: the trace then begins here. An invalid
 * `tracestate` is left out.
 */
export function readTraceContext(headers: IncomingHeaders): RemoteSpanContext | undefined {
  const parent = singleHeader(headers['traceparent']);
  if (parent === undefined) return undefined;
  const match = parentForm.exec(parent);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '00', rest] = match;
  if (version === 'ff' || zeroes.test(traceId) || zeroes.test(spanId)) return undefined;
  if (version === '00' && rest !== undefined) return undefined;
  const state = readTraceState(headers['tracestate']);
  const traceState = state && traceStateText(state);
  // Of the flags only `sampled` and `random` are defined; others must not be passed on.
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & definedFlags, traceState };
}

/** The `traceparent` text of a span, in version 00. */
export function traceParent(context: { traceId: string; spanId: string; traceFlags: number }): string {
  const flags = (context.traceFlags & definedFlags).toString(16).padStart(2, '0');
  return `00-${context.traceId}-${context.spanId}-${flags}`;
}

/** The one value of a header; `undefined` when there is none, more than one, or one of more than 512 characters. */
export function singleHeader(value: string | readonly string[] | undefined): string | undefined {
  if (typeof value === 'string') return value.length <= 512 ? value : undefined;
  // Two callers cannot both be the parent.
  return Array.isArray(value) && value.length === 1 && typeof value[0] === 'string'
    ? singleHeader(value[0])
    : undefined;
}
