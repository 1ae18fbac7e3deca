import type { LogFormat } from '../formats/line-format.js';
import type { LineSink } from './sink.js';

/** A sink that keeps its lines, for tests. */
export interface MemorySink extends LineSink {
  /** Lines taken so far, without their ends; at most the last 10,000. */
  readonly lines: readonly string[];
  /** Forgets the lines. */
  clear(): void;
}

const maxLines = 10_000;

/** Makes a sink that keeps its lines in memory. */
export function memorySink(options: { readonly format?: LogFormat | undefined } = {}): MemorySink {
  const lines: string[] = [];
  return {
    kind: 'line-sink',
    id: 'memory',
    format: options.format,
    colors: false,
    lines,
    clear: () => lines.splice(0),
    open: () => ({
      push(line) {
        lines.push(line.endsWith('\n') ? line.slice(0, -1) : line);
        if (lines.length > maxLines) lines.shift();
      },
      flushNow: () => undefined,
      drainNow: () => undefined,
      sync: async () => undefined,
      close: async () => undefined,
      queuedBytes: 0,
      failing: false,
    }),
  };
}
