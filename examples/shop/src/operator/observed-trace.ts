import type { Span, Trace } from '@mnops/apm';
import { traceTree } from '@mnops/apm/terminal';
import type { SpanRow } from '../report/report-data.js';
import type { Shop } from './shop.js';
import type { StepContext } from './step.js';
import { until } from './wait.js';

/** Waits until all spans of a trace have arrived, those of the named services among them; gives what there is in the end. */
export async function observedTrace(
  { apm }: Shop,
  traceId: string,
  services: readonly string[],
  timeoutMs = 10_000,
): Promise<Trace | undefined> {
  let trace: Trace | undefined;
  await until(
    async () => {
      trace = await apm.getTrace(traceId);
      return trace?.complete === true && services.every((name) => trace?.services.includes(name));
    },
    timeoutMs,
    100,
  );
  return trace;
}

/** Service that made a span. */
export function serviceOf({ resource }: Span): string {
  return String(resource['service.name'] ?? '');
}

/** A span and those above it, up to the root. */
export function pathTo(trace: Trace, span: Span): Span[] {
  const parent = trace.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return parent === undefined ? [span] : [...pathTo(trace, parent), span];
}

/** Shows a trace as a tree, line by line. */
export function showTree(trace: Trace, say: StepContext['say']): void {
  for (const line of traceTree(trace, { width: 110 }).split('\n')) say(line);
}

/** The spans of a trace as rows of the report, each below its parent. */
export function spanRows({ spans }: Trace): SpanRow[] {
  const start = spans[0]?.startTimeUnixNano ?? 0n;
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const below = (parent: Span | undefined, depth: number): SpanRow[] =>
    spans
      .filter(({ parentSpanId }) =>
        parent === undefined ? parentSpanId === undefined || !ids.has(parentSpanId) : parentSpanId === parent.spanId,
      )
      .flatMap((span) => [rowOf(span, depth, start), ...below(span, depth + 1)]);
  return below(undefined, 0);
}

function rowOf(span: Span, depth: number, start: bigint): SpanRow {
  return {
    name: span.name,
    service: serviceOf(span),
    version: String(span.resource['service.version'] ?? ''),
    depth,
    startMs: Number(span.startTimeUnixNano - start) / 1e6,
    durationMs: Number(span.durationNano) / 1e6,
    error: span.status.code === 'error',
  };
}
