import type { MnopsError } from '@mnops/core';
import { configError, countSchema, parseOptions, providerSchema } from '@mnops/core/config';
import type { CallOptions, Clock, LogSearch, LogSource, MetricSource, SecretResolver, Span } from '@mnops/core/spi';
import * as v from 'valibot';
import { callsSchema, dateSchema, logIssue, metricSchema, pointIssue } from '../analysis/root-cause/input-schema.js';
import type { CallEdge, LogRecord, MetricSeries } from '../analysis/root-cause/inputs.js';
import { type RootCauseRanking, rankRootCauses } from '../analysis/root-cause/rank.js';
import { minTraces } from '../analysis/root-cause/windows.js';
import type { HeldTrace } from '../store/trace-ring.js';
import { loadInputs } from './load-inputs.js';
import { type MetricQuestion, metricQuestionSchema, metricQuestions, metricSourceSchema } from './metric-question.js';

/** Where and when the trouble is. */
export interface RootCauseQuery {
  /** Only traces that this service takes part in. */
  readonly service?: string | undefined;
  /** Only traces that have this operation. */
  readonly operation?: string | undefined;
  /** Name of the metric of `service`, among `metrics`, that showed the trouble. */
  readonly metric?: string | undefined;
  /** When the trouble began, such as an anomaly's `openedAt`. It may be off by a minute: see `changedAt` of the report. */
  readonly at: Date;
  /** What to compare with. Default: the ten minutes that end 5 s before `at`. */
  readonly normal?: { readonly from: Date; readonly to: Date } | undefined;
  /** Time of the trouble. Default: the five minutes from `at` on, as far as they have passed. */
  readonly faulty?: { readonly from: Date; readonly to: Date } | undefined;
  /** Traces at most of each window; the newest count. Default 5_000. */
  readonly maxTraces?: number | undefined;
  /**
   * Metrics of services from before and after `at`: series, whatever recorded them, sources that are asked for them, such
   * as `metricSource` of `@mnops/monitoring`, or both. At most 10,000 series count, and sources are asked at most 10,000
   * questions together.
   */
  readonly metrics?: MetricSource | readonly (MetricSeries | MetricSource)[] | undefined;
  /**
   * What sources are asked. Default `metricQuestions`: P90, failures and number of requests by
   * `http_server_request_duration_seconds`, processor time and memory by `process_cpu_seconds_total` and
   * `process_resident_memory_bytes`.
   */
  readonly metricQuestions?: readonly MetricQuestion[] | undefined;
  /**
   * Lines that services wrote before and after `at`, or where they are found: `logSearch` of `@mnops/logging`, or a stream
   * such as `logSource` of `@mnops/orchestration`, which is read from its beginning. Of given lines the newest 100,000
   * count, of searched ones the 50,000 next to `at` on each side, of a stream 256 MiB with at most 100,000 of the time.
   * A line that names no span or trace of the two windows counts only where it is a warning or an error, by its `level`,
   * its first words or an exception in it.
   */
  readonly logs?: LogSearch | LogSource | readonly LogRecord[] | undefined;
  /** Who calls whom. Default: what the traces say. */
  readonly calls?: readonly CallEdge[] | undefined;
}

/** The likely causes of trouble, the most likely first. */
export interface RootCauseReport extends RootCauseRanking {
  readonly windows: {
    readonly normal: { readonly from: Date; readonly to: Date };
    readonly faulty: { readonly from: Date; readonly to: Date };
  };
  /** What of the query fits nothing, and what sources of metrics and lines did not answer and why; empty when nothing is missing. */
  readonly notes: readonly string[];
  /** Milliseconds that finding it took. */
  readonly elapsedMs: number;
}

/** Questions to all metric sources together, each at many times. */
const maxQuestions = 10_000;
const normalMs = 600_000;
const guardMs = 5_000;
const faultyMs = 300_000;

const windowSchema = v.pipe(
  v.strictObject({ from: dateSchema, to: dateSchema }),
  v.check(({ from, to }) => from < to, 'a window whose `from` is before its `to`'),
);
const querySchema = v.strictObject({
  service: v.optional(v.string()),
  operation: v.optional(v.string()),
  metric: v.optional(v.string()),
  metrics: v.optional(
    v.union([
      metricSourceSchema,
      v.pipe(v.array(v.union([metricSourceSchema, metricSchema])), v.maxLength(10_000, 'at most 10,000 series')),
    ]),
  ),
  metricQuestions: v.optional(v.pipe(v.array(metricQuestionSchema), v.maxLength(100, 'at most 100 questions'))),
  logs: v.optional(
    v.union([
      providerSchema<LogSearch>('log-search', ['search']),
      providerSchema<LogSource>('log-source', ['read']),
      v.custom<readonly LogRecord[]>(Array.isArray, 'a list of lines'),
    ]),
  ),
  calls: v.optional(callsSchema),
  at: dateSchema,
  normal: v.optional(windowSchema),
  faulty: v.optional(windowSchema),
  maxTraces: v.optional(countSchema),
});

/** What the manager that is asked works with. */
export interface RootCauseMeans extends CallOptions {
  readonly clock: Clock;
  readonly secrets: SecretResolver | undefined;
}

/**
 * The query, once it can be read.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with what is wrong.
 */
export function checkedRootCauseQuery(input: unknown): RootCauseQuery {
  const query = parseOptions('findRootCause', querySchema, input);
  const { metrics = [], logs = [] } = query;
  const issue = pointIssue('query' in metrics ? [] : metrics) ?? logIssue('kind' in logs ? [] : logs);
  if (issue !== undefined) throw configError('findRootCause', [issue]);
  const sources = 'query' in metrics ? 1 : metrics.filter((one) => 'query' in one).length;
  if (sources * (query.metricQuestions ?? metricQuestions).length > maxQuestions) throw tooMany(sources);
  return query;
}

function tooMany(sources: number): MnopsError {
  return configError('findRootCause', [
    {
      field: 'metrics',
      expected: `sources that are asked at most ${maxQuestions} questions together`,
      received: `${sources} sources`,
      remedy: 'Give fewer sources, or fewer `metricQuestions`.',
    },
  ]);
}

/**
 * Compares the traces of two windows, with metrics and lines where there are any. Traces are assigned by their start.
 * Sources are asked first: what they do not answer within `timeoutMs` is missing and told.
 */
export async function findRootCauseIn(
  traces: (range: { readonly from: Date; readonly to: Date }) => Iterable<HeldTrace> | AsyncIterable<HeldTrace>,
  query: RootCauseQuery,
  means: RootCauseMeans,
): Promise<RootCauseReport> {
  const { clock } = means;
  const { service, operation, metric, at, calls, maxTraces = 5_000 } = query;
  const atMs = query.at.getTime();
  const normal = query.normal ?? { from: new Date(atMs - normalMs), to: new Date(atMs - guardMs) };
  const faulty = query.faulty ?? { from: query.at, to: new Date(atMs + faultyMs) };
  const begunAt = clock.monotonic();
  const range = {
    from: normal.from < faulty.from ? normal.from : faulty.from,
    to: normal.to > faulty.to ? normal.to : faulty.to,
  };
  const toMs = Math.min(range.to.getTime(), clock.now());
  const { metrics, logs, notes } = await loadInputs(query, { fromMs: range.from.getTime(), atMs, toMs }, means);
  const picked = { normal: [] as Span[], faulty: [] as Span[] };
  const counts = { normal: 0, faulty: 0 };
  for await (const trace of traces(range)) {
    for (const [name, window] of [['normal', normal] as const, ['faulty', faulty] as const]) {
      if (trace.startMs < window.from.getTime() || trace.startMs >= window.to.getTime()) continue;
      if (counts[name] >= maxTraces) continue;
      counts[name] += 1;
      for (const span of trace.spans) picked[name].push(span);
    }
  }
  const entry = service === undefined && operation === undefined ? undefined : { service, operation, metric };
  const ranking = rankRootCauses({ ...picked, entry, metrics, logs, calls, at });
  const unfitting = unfittingParts(query, { ...picked, counts, metrics: metrics ?? [], logs: logs ?? [] });
  return {
    ...ranking,
    windows: { normal, faulty },
    notes: [...unfitting, ...notes],
    elapsedMs: clock.monotonic() - begunAt,
  };
}

/** What was asked about and is not there: without a word, a misspelt name looks like a service that is well. */
function unfittingParts(
  query: RootCauseQuery,
  found: {
    readonly normal: readonly Span[];
    readonly faulty: readonly Span[];
    readonly counts: { readonly normal: number; readonly faulty: number };
    readonly metrics: readonly MetricSeries[];
    readonly logs: readonly LogRecord[];
  },
): string[] {
  const { service, metric } = query;
  const { normal, faulty, counts, metrics, logs } = found;
  const notes: string[] = [];
  const isOfService = (span: Span): boolean => span.resource['service.name'] === service;
  const tracesAlone = query.metrics === undefined && query.logs === undefined;
  if (tracesAlone && Math.min(counts.normal, counts.faulty) < minTraces) {
    notes.push(
      `There are ${counts.normal} traces before and ${counts.faulty} after; ${minTraces} are needed on either side.`,
    );
  }
  const isKnown =
    service === undefined ||
    [normal, faulty].some((spans) => spans.some(isOfService)) ||
    [...metrics, ...logs].some((one) => one.service === service);
  if (!isKnown) notes.push(`Nothing is known of the service ${service} in this time.`);
  if (metric !== undefined && !metrics.some(({ name }) => name === metric)) notes.push(`No series is named ${metric}.`);
  return notes;
}
