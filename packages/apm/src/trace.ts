import type { Span } from '@mnops/core/spi';
import { epochMs } from './analysis/span-facts.js';
import { adjustedCountOf, keptByKey } from './sampling/adjusted-count.js';
import { isKeepReason, type KeepReason } from './sampling/sampling-stats.js';
import { type SpanJson, spanJson } from './span-json.js';

/** The spans of one request, of all services that took part. */
export interface Trace {
  readonly traceId: string;
  /** Span without a parent; absent when it is not known. */
  readonly root?: Span | undefined;
  /** In order of their start. */
  readonly spans: readonly Span[];
  readonly startedAt: Date;
  /** From the first start to the last end. */
  readonly durationMs: number;
  readonly hasError: boolean;
  /** Services that took part, in order of their first span. */
  readonly services: readonly string[];
  /** True when the root is there, the parent of every span is, and no span was left out for a limit. */
  readonly complete: boolean;
  readonly keptBy: KeepReason;
  /** How many traces this one stands for; 1 when all were kept. */
  readonly adjustedCount: number;
  /** The trace for `JSON.stringify`: nanoseconds are decimal digits. `traceFromJson` reads it back. Hidden from copies. */
  toJSON(): TraceJson;
}

/** A trace as `JSON.stringify` writes it; `traceFromJson` reads it back. */
export interface TraceJson extends Omit<Trace, 'root' | 'spans' | 'startedAt' | 'toJSON'> {
  readonly root?: SpanJson | undefined;
  readonly spans: readonly SpanJson[];
  /** ISO 8601, to the millisecond. */
  readonly startedAt: string;
}

/** Assembles one trace from its spans, which may come in any order. */
export function assembleTrace(traceId: string, spans: readonly Span[], whole: boolean): Trace {
  const sorted = [...spans].sort((a, b) => compare(a.startTimeUnixNano, b.startTimeUnixNano));
  const ids = new Set(sorted.map((span) => span.spanId));
  const root = sorted.find((span) => span.parentSpanId === undefined);
  const orphan = sorted.some((span) => span.parentSpanId !== undefined && !ids.has(span.parentSpanId));
  const first = root ?? sorted[0];
  const startNano = sorted[0]?.startTimeUnixNano ?? 0n;
  let last = startNano;
  for (const { startTimeUnixNano, durationNano } of sorted) {
    if (startTimeUnixNano + durationNano > last) last = startTimeUnixNano + durationNano;
  }
  const trace = {
    traceId,
    ...(root === undefined ? {} : { root }),
    spans: sorted,
    startedAt: new Date(epochMs(startNano)),
    durationMs: Number(last - startNano) / 1e6,
    hasError: sorted.some((span) => span.status.code === 'error'),
    services: [...new Set(sorted.map((span) => String(span.resource['service.name'] ?? 'unknown_service')))],
    complete: root !== undefined && !orphan && whole,
    keptBy: sorted.map(({ attributes }) => attributes[keptByKey]).find(isKeepReason) ?? 'head',
    adjustedCount: first === undefined ? 1 : adjustedCountOf(first),
  };
  const toJSON = (): TraceJson => ({
    ...trace,
    root: root === undefined ? undefined : spanJson(root),
    spans: sorted.map(spanJson),
    startedAt: trace.startedAt.toISOString(),
  });
  return Object.defineProperty(trace, 'toJSON', { value: toJSON }) as typeof trace & Pick<Trace, 'toJSON'>;
}

function compare(a: bigint, b: bigint): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}
