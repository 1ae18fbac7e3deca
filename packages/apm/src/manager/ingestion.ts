import { traced } from '@mnops/core/operations';
import type { CallOptions, Span } from '@mnops/core/spi';
import { epochMs } from '../analysis/span-facts.js';
import { spanProblem } from '../analysis/span-problem.js';
import { checkCallOptions, checkSpans } from './call-options.js';
import type { Pipeline } from './pipeline.js';

/** What became of spans that were handed in. */
export interface IngestReport {
  /** Spans taken; spans that were known already count too. */
  readonly accepted: number;
  /** Spans that are not valid. */
  readonly rejected: number;
  /** Spans among the accepted ones that were known already. */
  readonly repeated: number;
  /** Why spans were rejected; at most ten different reasons. */
  readonly reasons: readonly string[];
}

/** Spans taken before other work gets a turn. */
const ingestSlice = 1_000;

interface Report {
  accepted: number;
  rejected: number;
  repeated: number;
  readonly reasons: Set<string>;
}

/** Brings spans of other processes into the pipeline, and counts those that are not valid. */
export class Ingestion {
  readonly #pipeline: Pipeline;
  #accepted = 0;
  #rejected = 0;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** Spans so far: taken, and refused. */
  get counts(): { readonly ingested: number; readonly rejected: number } {
    return { ingested: this.#accepted, rejected: this.#rejected };
  }

  async take(spans: Iterable<Span> | AsyncIterable<Span>, options: CallOptions): Promise<IngestReport> {
    checkSpans(spans);
    checkCallOptions('ingest', options);
    const { signal } = options;
    const report: Report = { accepted: 0, rejected: 0, repeated: 0, reasons: new Set() };
    await traced('mnops:apm:ingest', {}, async (context) => {
      let taken = 0;
      const pause = async (): Promise<void> => {
        await new Promise<void>((resolve) => setImmediate(resolve));
        signal?.throwIfAborted();
      };
      signal?.throwIfAborted();
      // Two loops: waiting at each span of a plain list would cost more than taking it.
      if (Symbol.iterator in spans) {
        for (const span of spans) {
          taken += 1;
          this.#takeOne(span, report);
          if (taken % ingestSlice === 0) await pause();
        }
      } else {
        for await (const span of spans) {
          signal?.throwIfAborted();
          taken += 1;
          this.#takeOne(span, report);
          // A source that has its spans already waits for nothing, and would let nothing else run.
          if (taken % ingestSlice === 0) await pause();
        }
      }
      Object.assign(context, { accepted: report.accepted, rejected: report.rejected });
    });
    return { ...report, reasons: [...report.reasons] };
  }

  #takeOne(span: Span, report: Report): void {
    const problem = spanProblem(span);
    if (problem !== undefined) {
      report.rejected += 1;
      this.#rejected += 1;
      if (report.reasons.size < 10) report.reasons.add(problem);
      return;
    }
    report.accepted += 1;
    this.#accepted += 1;
    const durationMs = Number(span.durationNano) / 1e6;
    if (!this.#pipeline.takeForeign(span, epochMs(span.startTimeUnixNano), durationMs)) report.repeated += 1;
  }
}
