import type { Span } from '@mnops/core/spi';
import { spanOf } from './spans.js';

/** Traces of a gateway that calls a catalog, which is slow in the second half. */
export function slowCatalogTraces(): {
  readonly before: readonly Span[][];
  readonly after: readonly Span[][];
  readonly changedAt: Date;
} {
  const startMs = 1_700_000_000_000;
  const count = 40;
  const traceOf = (index: number, slowMs: number): Span[] => {
    const at = startMs + index * 1_000;
    const trace = (((index + 1) * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0').repeat(4);
    return [
      spanOf({
        service: 'gateway',
        trace,
        id: `a${index}`,
        name: 'GET /',
        kind: 'server',
        startMs: at,
        durationMs: 30 + slowMs,
      }),
      spanOf({
        service: 'catalog',
        trace,
        id: `b${index}`,
        parent: `a${index}`,
        name: 'GET /items',
        kind: 'server',
        startMs: at + 5,
        durationMs: 20 + slowMs,
      }),
    ];
  };
  const indexes = Array.from({ length: count }, (_, index) => index);
  return {
    before: indexes.map((index) => traceOf(index, index % 3)),
    after: indexes.map((index) => traceOf(count + index, 250 + (index % 3))),
    changedAt: new Date(startMs + count * 1_000),
  };
}
