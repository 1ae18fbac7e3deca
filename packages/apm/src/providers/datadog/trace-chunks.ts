import type { Span, SpanAttributes, SpanBatch, SpanScope } from '@mnops/core/spi';

/** One span with what it shares with others. */
export interface ChunkSpan {
  readonly span: Span;
  readonly scope: SpanScope;
  /** Whether it is where its process entered the trace. */
  readonly isLocalRoot: boolean;
}

/** The spans that one process has in one trace. */
export interface TraceChunk {
  readonly traceId: string;
  readonly resource: SpanAttributes;
  /** The local root first, if it is among them. */
  readonly spans: readonly ChunkSpan[];
}

/** Groups a batch by process and trace, as an agent wants it. */
export function chunksOf(batch: SpanBatch): readonly TraceChunk[] {
  const chunks = new Map<SpanAttributes, Map<string, { span: Span; scope: SpanScope }[]>>();
  for (const { resource, scope, spans } of batch.groups) {
    let traces = chunks.get(resource);
    if (traces === undefined) {
      traces = new Map();
      chunks.set(resource, traces);
    }
    for (const span of spans) {
      const known = traces.get(span.traceId);
      if (known === undefined) traces.set(span.traceId, [{ span, scope }]);
      else known.push({ span, scope });
    }
  }
  return [...chunks].flatMap(([resource, traces]) =>
    [...traces].map(([traceId, spans]) => ({ traceId, resource, spans: ordered(spans) })),
  );
}

function ordered(spans: readonly { readonly span: Span; readonly scope: SpanScope }[]): readonly ChunkSpan[] {
  const ids = new Set(spans.map(({ span }) => span.spanId));
  return spans
    .map(({ span, scope }) => ({ span, scope, isLocalRoot: isLocalRoot(span, ids) }))
    .sort((a, b) => {
      if (a.isLocalRoot !== b.isLocalRoot) return a.isLocalRoot ? -1 : 1;
      return Number(a.span.startTimeUnixNano - b.span.startTimeUnixNano);
    });
}

function isLocalRoot({ parentSpanId, parentIsRemote, kind }: Span, ids: ReadonlySet<string>): boolean {
  if (parentSpanId === undefined) return true;
  if (parentIsRemote !== undefined) return parentIsRemote;
  // Nobody said where the parent lives: a request or a message whose sender is not here came from outside.
  return (kind === 'server' || kind === 'consumer') && !ids.has(parentSpanId);
}
