import { withCall } from '@mnops/core';
import type { Call, CallOptions, Clock, LogSearch, LogSource, MetricSource, SecretResolver } from '@mnops/core/spi';
import type { LogRecord, MetricSeries } from '../analysis/root-cause/inputs.js';
import { logSearchLoading } from './load-logs.js';
import { metricLoading } from './load-metrics.js';
import type { Loaded, LoadTimes } from './load-times.js';
import { type MetricQuestion, metricQuestions } from './metric-question.js';
import { logSourceLoading } from './read-log-source.js';
import { reasonOf } from './reason.js';

/** Metrics and lines, given or to be loaded. */
export interface LoadableInputs {
  readonly metrics?: MetricSource | readonly (MetricSeries | MetricSource)[] | undefined;
  readonly metricQuestions?: readonly MetricQuestion[] | undefined;
  readonly logs?: LogSearch | LogSource | readonly LogRecord[] | undefined;
}

/** Metrics and lines, with what could not be loaded. */
export interface LoadedInputs {
  readonly metrics: readonly MetricSeries[] | undefined;
  readonly logs: readonly LogRecord[] | undefined;
  readonly notes: readonly string[];
}

const defaultTimeoutMs = 10_000;

/**
 * Asks the sources among the inputs for the time that is looked at, all at once. What they do not answer in time is
 * missing and told in `notes`; it rejects only with the reason of the caller's signal.
 */
export async function loadInputs(
  { metrics, metricQuestions: questions = metricQuestions, logs }: LoadableInputs,
  times: LoadTimes,
  options: CallOptions & { readonly clock: Clock; readonly secrets: SecretResolver | undefined },
): Promise<LoadedInputs> {
  const given = metrics === undefined ? [] : 'query' in metrics ? [metrics] : metrics;
  const sources = given.filter(isMetricSource);
  const notes: string[] = [];
  const limits = { ...options, timeoutMs: options.timeoutMs ?? defaultTimeoutMs };
  const load = async <T>(
    what: string,
    { run, loaded }: { readonly run: (call: Call) => Promise<void>; readonly loaded: () => Loaded<T> },
  ): Promise<readonly T[]> => {
    try {
      await withCall(limits, run);
    } catch (error) {
      options.signal?.throwIfAborted();
      notes.push(`${what} are incomplete: ${reasonOf(error)}.`);
    }
    const { items, notes: missing } = loaded();
    notes.push(...missing);
    return items;
  };
  const [asked, found] = await Promise.all([
    sources.length === 0 ? [] : load('Metrics', metricLoading(sources, questions, times)),
    logs === undefined || !('kind' in logs)
      ? logs
      : load('Lines', 'search' in logs ? logSearchLoading(logs, times) : logSourceLoading(logs, times, options.clock)),
  ]);
  const series = given.filter((one): one is MetricSeries => !isMetricSource(one));
  return { metrics: metrics === undefined ? undefined : [...series, ...asked], logs: found, notes };
}

function isMetricSource(value: MetricSeries | MetricSource): value is MetricSource {
  return 'query' in value;
}
