import type { LoadFigures } from '../load/load-generator.js';
import type { StepRecord } from '../operator/step.js';

/** A moment of the story that the charts mark. */
export interface Mark {
  readonly atMs: number;
  readonly label: string;
  readonly kind: 'change' | 'bad' | 'good' | 'maintenance';
}

/** A stretch of time in which an alert was active. */
export interface AlertSpan {
  readonly alert: string;
  readonly summary: string;
  readonly severity: string;
  readonly pendingMs: number;
  readonly firedMs?: number | undefined;
  readonly resolvedMs?: number | undefined;
}

/** One row of the waterfall. */
export interface SpanRow {
  readonly name: string;
  readonly service: string;
  readonly version: string;
  readonly depth: number;
  readonly startMs: number;
  readonly durationMs: number;
  readonly error: boolean;
}

/** A piece of work with all spans of its trace, of every process. */
export interface TracedWork {
  readonly title: string;
  readonly traceId: string;
  /** The log line that led to it. */
  readonly logLine?: string | undefined;
  readonly spans: readonly SpanRow[];
}

/** A recovery or a drill with what it measured. */
export interface RecoveryFigures {
  readonly title: string;
  readonly rtoMs: number;
  readonly rpoMs: number;
  readonly targetRtoMs: number;
  readonly targetRpoMs: number;
  readonly phases: readonly { readonly name: string; readonly durationMs: number }[];
}

/** Everything the page shows. */
export interface ReportData {
  readonly variant: 'faulty' | 'healthy';
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly held: boolean;
  readonly steps: readonly StepRecord[];
  readonly marks: readonly Mark[];
  readonly load: readonly LoadFigures[];
  readonly map: {
    readonly nodes: readonly { readonly name: string; readonly calls: number; readonly errors: number }[];
    readonly edges: readonly {
      readonly from: string;
      readonly to: string;
      readonly calls: number;
      readonly errors: number;
      readonly p95Ms?: number | undefined;
    }[];
  };
  readonly alerts: readonly AlertSpan[];
  /** The traces that were followed, in the order of the story. */
  readonly traces: readonly TracedWork[];
  readonly rootCause?:
    | { readonly title: string; readonly evidence: readonly string[]; readonly others: readonly string[] }
    | undefined;
  readonly weights: readonly { readonly atMs: number; readonly percent: number }[];
  readonly recoveries: readonly RecoveryFigures[];
}
