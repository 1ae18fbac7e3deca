import { AsyncLocalStorage } from 'node:async_hooks';
import type { FieldEncoder } from './encode-json.js';

/** Fields that an asynchronous call tree adds to each of its entries, encoded once. */
export interface ContextFields {
  /** Each member as `"key":value`. */
  readonly members: ReadonlyMap<string, string>;
  /** All members joined. */
  readonly text: string;
  /** Trace and span id as `,"traceId":"…","spanId":"…"`, or an empty text. */
  readonly ids: string;
}

/** What adds fields to entries without being passed along. */
export interface LogContext {
  /** Fields of the running call tree. */
  current(): ContextFields | undefined;
  /** Runs a function whose whole call tree has further fields. */
  run<T>(fields: object, run: () => T): T;
  /** Ids of the active span, else those of the context, as `,"traceId":"…","spanId":"…"`, or an empty text. */
  ids(context: ContextFields | undefined): string;
}

/** Makes the context of one manager. */
export function logContext(encoder: FieldEncoder): LogContext {
  const storage = new AsyncLocalStorage<ContextFields>();
  let used = false;
  const spans = activeSpanIds();
  return {
    current: () => (used ? storage.getStore() : undefined),
    run(fields, run) {
      used = true;
      const outer = storage.getStore();
      const { ids, rest } = promoteIds(fields);
      const members = new Map([...(outer?.members ?? []), ...membersOf(encoder, rest)]);
      const text = [...members.values()].join(',');
      return storage.run({ members, text, ids: ids === '' ? (outer?.ids ?? '') : ids }, run);
    },
    ids: (context) => spans() || (context?.ids ?? ''),
  };
}

/** Encodes each member of an object apart, so that single ones can be replaced later. */
export function membersOf(encoder: FieldEncoder, fields: object): Map<string, string> {
  const members = new Map<string, string>();
  for (const [key, value] of entriesOf(fields)) {
    const text = encoder.fields({ [key]: value });
    if (text !== '') members.set(key, text);
  }
  return members;
}

function entriesOf(fields: object): [string, unknown][] {
  try {
    return Object.entries(fields);
  } catch {
    return [];
  }
}

/** Ids given as fields become the ids of the entry, for programs that trace without OpenTelemetry. */
function promoteIds(fields: object): { readonly ids: string; readonly rest: object } {
  const { traceId, spanId, ...rest } = fields as Record<string, unknown>;
  if (!isTraceId(traceId)) return { ids: '', rest: fields };
  if (isSpanId(spanId)) return { ids: `,"traceId":"${traceId}","spanId":"${spanId}"`, rest };
  return { ids: `,"traceId":"${traceId}"`, rest: spanId === undefined ? rest : { ...rest, spanId } };
}

/** Whether a value is a trace id of W3C Trace Context: 32 lower-case hexadecimal digits, not all zero. */
export function isTraceId(value: unknown): value is string {
  return typeof value === 'string' && /^(?!0{32})[0-9a-f]{32}$/.test(value);
}

/** Whether a value is a span id of W3C Trace Context: 16 lower-case hexadecimal digits, not all zero. */
export function isSpanId(value: unknown): value is string {
  return typeof value === 'string' && /^(?!0{16})[0-9a-f]{16}$/.test(value);
}

interface SpanLike {
  spanContext(): { readonly traceId: string; readonly spanId: string };
}

interface OpenTelemetryGlobal {
  readonly context?: { active(): { getValue(key: symbol): SpanLike | undefined } };
}

// OpenTelemetry's own names: the global of API 1.x, and the context key of the active span. Reading them here spares
// every program the import of its API (42 ms) and always sees the copy that the application uses.
const globalKey = Symbol.for('opentelemetry.js.api.1');
const spanKey = Symbol.for('OpenTelemetry Context Key SPAN');

function activeSpanIds(): () => string {
  let lastTraceId = '';
  let lastSpanId = '';
  let text = '';
  return () => {
    const api = (globalThis as Record<symbol, unknown>)[globalKey] as OpenTelemetryGlobal | undefined;
    if (api?.context === undefined) return '';
    const { traceId, spanId } = api.context.active().getValue(spanKey)?.spanContext() ?? {};
    if (traceId === undefined || spanId === undefined) return '';
    if (traceId === lastTraceId && spanId === lastSpanId) return text;
    text = isTraceId(traceId) && isSpanId(spanId) ? `,"traceId":"${traceId}","spanId":"${spanId}"` : '';
    lastTraceId = traceId;
    lastSpanId = spanId;
    return text;
  };
}
