import { parseOptions } from '@mnops/core/config';
import type { Span, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { exporterIdSchema } from '../exporter-id.js';
import { jsonLine } from './json-line.js';
import { spanLines } from './span-lines.js';

/** Where spans are printed, and how. */
export interface ConsoleExporterOptions {
  /** `tree` (default): the traces of a batch, indented by parent; `json`: one line per span. */
  readonly format?: 'tree' | 'json' | undefined;
  /** Where the text goes. Default `process.stdout`. */
  readonly stream?: { write(text: string): unknown } | undefined;
  /** Name in counters and events. Default `console`; needed when there are two. */
  readonly id?: string | undefined;
}

const optionsSchema = v.strictObject({
  format: v.optional(v.picklist(['tree', 'json'])),
  stream: v.optional(
    v.custom<{ write(text: string): unknown }>(
      (value) => typeof (value as { write?: unknown } | null)?.write === 'function',
      'a stream to write to',
    ),
  ),
  id: v.optional(exporterIdSchema),
});

/**
 * Prints spans for people, or as lines of JSON for programs.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function consoleExporter(options: ConsoleExporterOptions = {}): TraceExporter {
  const { format = 'tree', id = 'console', stream } = parseOptions('consoleExporter', optionsSchema, options);
  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes: Number.MAX_SAFE_INTEGER,
      maxSpansPerRequest: 1_000,
      partialSuccess: false,
      safeToRepeat: false,
      delivers: 'local',
    },
    async export(batch, call) {
      call.signal.throwIfAborted();
      const spans = batch.groups.flatMap((group): readonly Span[] => group.spans);
      const text = format === 'json' ? spans.map(jsonLine).join('') : spanLines(spans);
      // Looked up now, not at creation: test runners and loggers replace it.
      if (text !== '') (stream ?? process.stdout).write(text);
      return { accepted: batch.spanCount, rejected: 0 };
    },
  };
}
