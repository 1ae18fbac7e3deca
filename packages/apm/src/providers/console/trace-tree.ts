import type { Span } from '@mnops/core/spi';

/**
 * The traces of some spans as indented text. Each span is one line: duration, name, service, kind, error, attributes. A
 * span whose parent is not among them begins a tree of its own.
 */
export function traceTree(spans: readonly Span[]): string {
  const traces = new Map<string, Span[]>();
  for (const span of spans) {
    const known = traces.get(span.traceId);
    if (known === undefined) traces.set(span.traceId, [span]);
    else known.push(span);
  }
  return [...traces].map(([traceId, ofTrace]) => `trace ${traceId}\n${linesOf(ofTrace)}`).join('');
}

function linesOf(spans: readonly Span[]): string {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of [...spans].sort((a, b) => Number(a.startTimeUnixNano - b.startTimeUnixNano))) {
    const { parentSpanId } = span;
    if (parentSpanId === undefined || parentSpanId === span.spanId || !ids.has(parentSpanId)) roots.push(span);
    else children.set(parentSpanId, [...(children.get(parentSpanId) ?? []), span]);
  }
  const lines: string[] = [];
  const seen = new Set<string>();
  // A stack in place of recursion: traces may be thousands of spans deep, and ids from outside may form a ring.
  const print = (first: Span): void => {
    const stack = [{ span: first, depth: 1 }];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { span, depth } = next;
      if (seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      lines.push(`${'  '.repeat(Math.min(depth, 40))}${lineOf(span)}\n`);
      const below = children.get(span.spanId) ?? [];
      for (const child of below.toReversed()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  roots.forEach(print);
  spans.forEach(print);
  return lines.join('');
}

function lineOf({ name, kind, durationNano, status, attributes, resource }: Span): string {
  const service = resource['service.name'];
  const failed =
    status.code === 'error' ? [`ERROR${status.message === undefined ? '' : ` ${quoted(status.message)}`}`] : [];
  const facts = Object.entries(attributes).map(([key, value]) => `${key}=${quoted(value)}`);
  const parts = [`${(Number(durationNano) / 1e6).toFixed(3)} ms`, oneLine(name), `[${String(service ?? '?')} ${kind}]`];
  return [...parts, ...failed, ...facts].join(' ');
}

/** Text as it is when it is one plain word, else quoted, so that nothing in it can break or forge a line. */
function quoted(value: unknown): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /^[\w./:@%+-]+$/.test(text) ? text : oneLine(JSON.stringify(text));
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));
}
