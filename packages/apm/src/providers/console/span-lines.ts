import type { Span } from '@mnops/core/spi';
import { spanRows } from '../../terminal/span-rows.js';

/** Levels that are told apart by their indentation. */
const deepest = 40;

/**
 * The traces of some spans as indented text. Each span is one line: duration, name, service, kind, error, attributes. A
 * span whose parent is not among them begins a tree of its own.
 */
export function spanLines(spans: readonly Span[]): string {
  const traces = new Map<string, Span[]>();
  for (const span of spans) {
    const known = traces.get(span.traceId);
    if (known === undefined) traces.set(span.traceId, [span]);
    else known.push(span);
  }
  return [...traces].map(([traceId, ofTrace]) => `trace ${traceId}\n${linesOf(ofTrace)}`).join('');
}

function linesOf(spans: readonly Span[]): string {
  const rows = spanRows(spans, Number.POSITIVE_INFINITY);
  return rows.map(({ span, depth }) => `${'  '.repeat(Math.min(depth + 1, deepest))}${lineOf(span)}\n`).join('');
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

/** Without what could move the cursor, turn the writing direction or begin a line. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u{${character.codePointAt(0)?.toString(16)}}` : escaped;
  });
}
