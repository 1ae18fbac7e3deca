import { codeOf, coreError } from '@mnops/core';
import type { Call, Clock, MetricQuery, MetricSelection, MetricSource } from '@mnops/core/spi';
import type { AnalysisMetric, Measurement } from '../deployment.js';

/** Which revisions are compared. */
export interface Comparison {
  readonly service: string;
  readonly canary: string;
  readonly stable: string;
}

/**
 * Asks one metric for the canary and for stable, and compares. It never rejects but for the call's own end.
 *
 * @param leastWindowMs - Shorter windows are widened to this.
 */
export async function measure(
  metric: AnalysisMetric,
  comparison: Comparison,
  sources: Readonly<Record<string, MetricSource>>,
  clock: Clock,
  call: Call,
  leastWindowMs = 0,
): Promise<Measurement> {
  const at = new Date(clock.now());
  const result = (verdict: Measurement['verdict'], message: string, values: Values = {}): Measurement => ({
    metric: metric.name,
    verdict,
    ...values,
    message,
    at,
  });
  try {
    const source = sourceOf(metric, sources);
    const query = widened(metric.query, leastWindowMs);
    const wide = { ...metric, query };
    const canary = await ask(source, wide, { service: comparison.service, revision: comparison.canary }, call);
    const relative = metric.maxOverStable !== undefined || metric.maxRatioToStable !== undefined;
    const stable = relative
      ? await ask(source, wide, { service: comparison.service, revision: comparison.stable }, call)
      : undefined;
    const missing = canary === undefined ? 'the new' : relative && stable === undefined ? 'the stable' : undefined;
    if (missing !== undefined) {
      const verdicts = { inconclusive: 'inconclusive', fail: 'failure', pass: 'success', error: 'error' } as const;
      const verdict = verdicts[metric.noData ?? 'inconclusive'];
      return result(verdict, `${metric.name}: no data, or too little, of ${missing} revision.`, { canary, stable });
    }
    const failure = compare(metric, canary!, stable);
    return result(failure === undefined ? 'success' : 'failure', failure ?? `${metric.name} is within its limits.`, {
      canary,
      stable,
    });
  } catch (error) {
    call.signal.throwIfAborted();
    const reason = codeOf(error) ?? 'unknown reason';
    return result('error', `${metric.name} could not be measured: ${reason}.`);
  }
}

interface Values {
  readonly canary?: number | undefined;
  readonly stable?: number | undefined;
}

function sourceOf(metric: AnalysisMetric, sources: Readonly<Record<string, MetricSource>>): MetricSource {
  const name = metric.source ?? 'proxy';
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (source !== undefined) return source;
  throw coreError('MNOPS_CORE_NOT_FOUND', `There is no metric source ${name}.`, {
    remedy: `Give the host \`metricSources: { ${name}: … }\`.`,
  });
}

async function ask(
  source: MetricSource,
  metric: AnalysisMetric,
  labels: Readonly<Record<string, string>>,
  call: Call,
): Promise<number | undefined> {
  const { minObservations = 1 } = metric;
  const query = withLabels(metric.query, labels);
  if (minObservations > 1) {
    const counting = observations(query);
    const count = counting === undefined ? undefined : await value(source, counting, call);
    if (counting !== undefined && (count === undefined || count < minObservations)) return undefined;
  }
  return await value(source, query, call);
}

async function value(source: MetricSource, query: MetricQuery, call: Call): Promise<number | undefined> {
  const samples = await source.query(query, call);
  const found = samples[0]?.value;
  return found === undefined || !Number.isFinite(found) ? undefined : found;
}

/** The query for one revision only. PromQL text has `$service` and `$revision` replaced. */
export function withLabels(query: MetricQuery, labels: Readonly<Record<string, string>>): MetricQuery {
  const narrowed = (selection: MetricSelection): MetricSelection => ({
    ...selection,
    match: { ...selection.match, ...labels },
  });
  if ('promql' in query) {
    return { promql: query.promql.replace(/\$(service|revision)\b/g, (whole, name: string) => labels[name] ?? whole) };
  }
  if ('ratio' in query) return { ratio: { part: narrowed(query.ratio.part), whole: narrowed(query.ratio.whole) } };
  return narrowed(query);
}

function widened(query: MetricQuery, leastWindowMs: number): MetricQuery {
  const wide = (selection: MetricSelection): MetricSelection => ({
    ...selection,
    windowMs: Math.max(selection.windowMs, leastWindowMs),
  });
  if ('promql' in query) return query;
  if ('ratio' in query) return { ratio: { part: wide(query.ratio.part), whole: wide(query.ratio.whole) } };
  return wide(query);
}

/** How many observations a query stands on, where that can be asked. */
function observations(query: MetricQuery): MetricQuery | undefined {
  if ('promql' in query) return undefined;
  const selection = 'ratio' in query ? query.ratio.whole : query;
  if (typeof selection.reduce === 'string' && !['count', 'mean', 'rate', 'increase'].includes(selection.reduce)) {
    return undefined;
  }
  return {
    ...selection,
    reduce: selection.reduce === 'rate' || selection.reduce === 'increase' ? 'increase' : 'count',
  };
}

function compare(metric: AnalysisMetric, canary: number, stable: number | undefined): string | undefined {
  const { name, max, min, maxOverStable, maxRatioToStable, tolerance = 0 } = metric;
  const shown = (number: number): string => String(Number(number.toPrecision(4)));
  if (max !== undefined && canary > max) return `${name} is ${shown(canary)}, over ${shown(max)}.`;
  if (min !== undefined && canary < min) return `${name} is ${shown(canary)}, below ${shown(min)}.`;
  if (stable === undefined) return undefined;
  const beside = `${name} is ${shown(canary)}, of stable ${shown(stable)}`;
  if (maxOverStable !== undefined && canary - stable > maxOverStable) {
    return `${beside}: more than ${shown(maxOverStable)} above.`;
  }
  if (maxRatioToStable !== undefined && canary > stable * maxRatioToStable && canary - stable > tolerance) {
    return `${beside}: more than ${shown(maxRatioToStable)} times.`;
  }
  return undefined;
}
