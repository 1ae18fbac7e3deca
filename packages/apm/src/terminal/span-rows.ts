import type { Span } from '@mnops/core/spi';

/** One span of a trace in its place below others. */
export interface SpanRow {
  readonly span: Span;
  /** Spans above it in the tree. */
  readonly depth: number;
  /** Lines that lead to the span, such as `│  └─ `; `? ` where its parent is missing. */
  readonly lead: string;
}

/** Longer ones would leave no room for text. */
const longestLead = 90;

/**
 * The spans of one trace depth first, children by their start. Any input gives each span once: those without a parent
 * among them stand at the top, also spans that name each other as parents.
 *
 * @param most - Rows at most.
 */
export function spanRows(spans: readonly Span[], most: number): SpanRow[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const children = new Map<string | undefined, Span[]>();
  for (const span of [...spans].sort(byStart)) {
    const known = span.parentSpanId !== undefined && byId.has(span.parentSpanId) ? span.parentSpanId : undefined;
    const siblings = children.get(known);
    if (siblings === undefined) children.set(known, [span]);
    else siblings.push(span);
  }
  const rows: SpanRow[] = [];
  const drawn = new Set<Span>();
  // A stack of our own: a trace can be deeper than the engine's.
  const stack: { span: Span; depth: number; lead: string; below: string }[] = [];
  const top = (span: Span): void => {
    stack.push({ span, depth: 0, lead: span.parentSpanId === undefined ? '' : '? ', below: '' });
  };
  const walk = (): void => {
    for (let next = stack.pop(); next !== undefined && rows.length < most; next = stack.pop()) {
      const { span, depth, lead } = next;
      if (drawn.has(span)) continue;
      drawn.add(span);
      rows.push({ span, depth, lead });
      const below = next.below.slice(0, longestLead);
      (children.get(span.spanId) ?? []).toReversed().forEach((child, index) => {
        const [branch, trunk] = index === 0 ? ['└─ ', '   '] : ['├─ ', '│  '];
        stack.push({ span: child, depth: depth + 1, lead: below + branch, below: below + trunk });
      });
    }
  };
  (children.get(undefined) ?? []).toReversed().forEach(top);
  walk();
  // What is left hangs on itself: spans that are each other's ancestors.
  for (const span of spans) {
    if (rows.length >= most) break;
    if (drawn.has(span)) continue;
    top(span);
    walk();
  }
  return rows;
}

function byStart(left: Span, right: Span): number {
  return left.startTimeUnixNano < right.startTimeUnixNano
    ? -1
    : left.startTimeUnixNano > right.startTimeUnixNano
      ? 1
      : 0;
}
