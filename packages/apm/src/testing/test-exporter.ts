import type { ExportAnswer, SpanBatch, TraceExporter } from '@mnops/core/spi';

/** What of an exporter matters to a test. */
export interface TestExporterOptions extends Partial<TraceExporter['capabilities']> {
  /** Default `test`. */
  readonly id?: string | undefined;
}

/** An exporter that does with a batch what a test says; it takes up to 1,000 spans and 1 GB in a request. */
export function testExporter(
  take: (batch: SpanBatch) => ExportAnswer | Promise<ExportAnswer>,
  { id = 'test', ...capabilities }: TestExporterOptions = {},
): TraceExporter {
  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id,
    capabilities: {
      maxRequestBytes: 1e9,
      maxSpansPerRequest: 1_000,
      partialSuccess: true,
      safeToRepeat: true,
      delivers: 'local',
      ...capabilities,
    },
    export: async (batch) => await take(batch),
  };
}
