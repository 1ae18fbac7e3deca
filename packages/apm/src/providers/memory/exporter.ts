import { countSchema, parseOptions } from '@mnops/core/config';
import type { Span, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import { exporterIdSchema } from '../exporter-id.js';

/** How much is kept. */
export interface MemoryExporterOptions {
  /** Spans kept; beyond, the oldest goes. Default 10_000. */
  readonly maxSpans?: number | undefined;
  /** Name in counters and events. Default `memory`; needed when there are two. */
  readonly id?: string | undefined;
}

/** Keeps delivered spans where a test or a page can read them. */
export interface MemoryExporter extends TraceExporter {
  /** Spans kept now, oldest first. The list is the caller's own. */
  spans(): readonly Span[];
  /** Forgets all spans. */
  reset(): void;
}

const optionsSchema = v.strictObject({
  maxSpans: v.optional(countSchema),
  id: v.optional(exporterIdSchema),
});

/**
 * Keeps the spans that were delivered last, in this process.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function memoryExporter(options: MemoryExporterOptions = {}): MemoryExporter {
  const { maxSpans = 10_000, id = 'memory' } = parseOptions('memoryExporter', optionsSchema, options);
  let kept: Span[] = [];
  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes: Number.MAX_SAFE_INTEGER,
      maxSpansPerRequest: maxSpans,
      partialSuccess: false,
      safeToRepeat: false,
      delivers: 'local',
    },
    async export(batch, call) {
      call.signal.throwIfAborted();
      for (const { spans } of batch.groups) for (const span of spans) kept.push(span);
      if (kept.length > maxSpans) kept = kept.slice(-maxSpans);
      return { accepted: batch.spanCount, rejected: 0 };
    },
    spans: () => [...kept],
    reset() {
      kept = [];
    },
  };
}
