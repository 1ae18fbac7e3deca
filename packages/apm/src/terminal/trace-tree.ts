import type { Span } from '@mnops/core/spi';
import { type Peer, peerOf } from '../analysis/span-facts.js';
import type { Trace } from '../trace.js';
import { checkArguments } from './checked-arguments.js';
import { type SpanRow, spanRows } from './span-rows.js';
import { duration, fitted, type Painter, painterOf, printable, type TextOptions, widthOf } from './styles.js';

/** How a trace is drawn. */
export interface TraceTreeOptions extends TextOptions {
  /** Spans that are drawn; how many are left out is said. Default 500. */
  readonly maxSpans?: number | undefined;
}

/**
 * A trace as a tree with a time bar per span, one line each: name, service, duration, failure.
 *
 * Spans whose parent is missing stand below the root, marked with `?`. Any input is drawn, also spans that name each
 * other as parents.
 *
 * @returns Lines joined by newlines, without one at the end.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for something that cannot be written, such as `undefined`.
 */
export function traceTree(trace: Trace, options: TraceTreeOptions = {}): string {
  checkArguments('traceTree', { trace, options });
  const paint = painterOf(options);
  const width = widthOf(options);
  const most = options.maxSpans ?? 500;
  const rows = spanRows(trace.spans, most);
  const head =
    `${paint('bold', `trace ${printable(trace.traceId)}`)}  ${duration(trace.durationMs)}  ` +
    `${trace.spans.length} ${trace.spans.length === 1 ? 'span' : 'spans'}  ${trace.startedAt.toISOString()}` +
    `${trace.hasError ? `  ${paint('red', 'failed')}` : ''}${trace.complete ? '' : `  ${paint('yellow', 'incomplete')}`}`;
  const startNano = trace.spans[0]?.startTimeUnixNano ?? 0n;
  const lines = rows.map((row) => line(row, { paint, width, startNano, totalMs: trace.durationMs }));
  const left = trace.spans.length - rows.length;
  return [head, ...lines, ...(left > 0 ? [paint('dim', `… ${left} more`)] : [])].join('\n');
}

interface Drawing {
  readonly paint: Painter;
  readonly width: number;
  readonly startNano: bigint;
  readonly totalMs: number;
}

function line({ span, lead }: SpanRow, { paint, width, startNano, totalMs }: Drawing): string {
  const barWidth = Math.min(24, Math.floor(width / 4));
  const timeWidth = 10;
  const textWidth = width - barWidth - timeWidth - 4;
  const failed = span.status.code === 'error';
  const service = String(span.resource['service.name'] ?? 'unknown_service');
  const peer: Peer | undefined = peerOf(span);
  const where = peer === undefined ? service : `${service} → ${peer.name}`;
  const why = failed ? `  ✗ ${reasonOf(span)}` : '';
  const text = fitted(printable(`${lead}${span.name === '' ? '(no name)' : span.name}  ${where}${why}`), textWidth);
  const durationMs = Number(span.durationNano) / 1e6;
  const offsetMs = Number(span.startTimeUnixNano - startNano) / 1e6;
  const bar = barOf(offsetMs, durationMs, totalMs, barWidth);
  return `${failed ? paint('red', text) : text}  ${fitted(duration(durationMs), timeWidth, 'right')}  ${paint(failed ? 'red' : 'cyan', bar)}`.trimEnd();
}

function reasonOf({ status, attributes }: Span): string {
  return String(status.message ?? attributes['error.type'] ?? attributes['http.response.status_code'] ?? 'error');
}

function barOf(offsetMs: number, durationMs: number, totalMs: number, width: number): string {
  if (!(totalMs > 0)) return '█'.repeat(width);
  const from = Math.min(width - 1, Math.max(0, Math.floor((offsetMs / totalMs) * width)));
  const length = Math.min(width - from, Math.max(1, Math.round((durationMs / totalMs) * width)));
  return ' '.repeat(from) + (durationMs / totalMs < 0.5 / width ? '▏' : '█'.repeat(length));
}
