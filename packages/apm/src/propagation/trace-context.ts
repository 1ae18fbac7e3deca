/** What `traceparent` and `tracestate` say about the caller's span. */
export interface RemoteSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly traceState: string | undefined;
}

/** Headers as Node's HTTP server gives them; names in lower case. */
export type IncomingHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const parentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeroes = /^0+$/;
/** Members that a `tracestate` may have; more invalidate it. */
const maxMembers = 32;
/** Characters of `tracestate` that are read; the standard asks for at least 512. */
const maxStateCharacters = 4_096;
const simpleKey = /^[a-z][a-z0-9_\-*/]{0,255}$/;
const tenantKey = /^[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}$/;
const memberValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/**
 * Reads W3C Trace Context (Level 2) headers. Never throws.
 *
 * @returns `undefined` when there is no valid `traceparent`, or more than one: the trace then begins here. An invalid
 * `tracestate` is left out.
 */
export function readTraceContext(headers: IncomingHeaders): RemoteSpanContext | undefined {
  const parent = singleHeader(headers['traceparent']);
  if (parent === undefined) return undefined;
  const match = parentForm.exec(parent.trim());
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '00', rest] = match;
  if (version === 'ff' || zeroes.test(traceId) || zeroes.test(spanId)) return undefined;
  if (version === '00' && rest !== undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), traceState: readState(headers['tracestate']) };
}

/** The `traceparent` text of a span, in version 00. */
export function traceParent(context: { traceId: string; spanId: string; traceFlags: number }): string {
  // Of the flags only `sampled` and `random` are defined; others must not be passed on.
  const flags = (context.traceFlags & 0b11).toString(16).padStart(2, '0');
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

function readState(value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = Array.isArray(value) ? value.filter((part) => typeof part === 'string').join(',') : value;
  if (typeof text !== 'string' || text.length > maxStateCharacters) return undefined;
  const members = new Map<string, string>();
  for (const part of text.split(',')) {
    const member = part.trim();
    if (member === '') continue;
    const separator = member.indexOf('=');
    const key = member.slice(0, Math.max(0, separator));
    const entry = member.slice(separator + 1);
    if (!(simpleKey.test(key) || tenantKey.test(key)) || !memberValue.test(entry) || members.has(key)) return undefined;
    members.set(key, entry);
  }
  if (members.size === 0 || members.size > maxMembers) return undefined;
  return [...members].map(([key, entry]) => `${key}=${entry}`).join(',');
}
