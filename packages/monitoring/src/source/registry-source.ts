import { UnsupportedError } from '@mnops/core';
import type {
  Call,
  Clock,
  LabelMatch,
  MetricQuery,
  MetricReduction,
  MetricSample,
  MetricSelection,
  MetricSource,
} from '@mnops/core/spi';
import { monitoringError } from '../errors.js';
import type { AnySeries } from '../metrics/family.js';
import type { MetricRegistry } from '../metrics/registry.js';
import type { MetricType } from '../metrics/types.js';
import { bucketQuantile } from './quantile.js';
import type { SampleHistory } from './sample-history.js';

type Labels = Readonly<Record<string, string>>;

/** Answers structured queries over the samples of a registry. `implied` are labels that every series has beside its own. */
export function registrySource(
  registry: MetricRegistry,
  history: SampleHistory,
  clock: Clock,
  implied: Labels = {},
): MetricSource {
  async function query(
    asked: MetricQuery,
    call: Call & { readonly atMs?: number | undefined },
  ): Promise<readonly MetricSample[]> {
    call.signal.throwIfAborted();
    if ('promql' in asked) {
      throw new UnsupportedError(
        'This source does not speak PromQL; ask with a selection such as { metric, reduce, windowMs }.',
        {
          provider: 'registry',
          operation: 'query',
        },
      );
    }
    const atMs = call.atMs ?? clock.now();
    if (!('ratio' in asked)) return [...select(asked, call.atMs)].map(([, group]) => ({ ...group, atMs }));
    const parts = select(asked.ratio.part, call.atMs);
    return [...select(asked.ratio.whole, call.atMs)].flatMap(([key, whole]) =>
      whole.value === 0 ? [] : [{ labels: whole.labels, value: (parts.get(key)?.value ?? 0) / whole.value, atMs }],
    );
  }

  function select(
    selection: MetricSelection,
    atMs: number | undefined,
  ): Map<string, { labels: Labels; value: number }> {
    const family = registry.families().find(({ definition }) => definition.name === selection.metric);
    const answers = new Map<string, { labels: Labels; value: number }>();
    if (family === undefined) return answers;
    const { type, labels: names, bounds } = family.definition;
    checkReduction(selection.metric, type, selection.reduce);
    const groups = new Map<string, { labels: Labels; members: AnySeries[] }>();
    for (const series of family.series as ReadonlySet<AnySeries>) {
      const labels = labelsOf(series, names, registry.constLabels, implied);
      if (!matches(labels, selection.match ?? {})) continue;
      const own = Object.fromEntries((selection.by ?? []).map((name) => [name, labels[name] ?? '']));
      const key = JSON.stringify(Object.values(own));
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { labels: own, members: [series] });
      else group.members.push(series);
    }
    for (const [key, { labels, members }] of groups) {
      const value =
        type === 'gauge'
          ? reduceGauge(members, selection, history, atMs)
          : reduceGrowth(members, selection, history, atMs, bounds ?? []);
      if (value !== undefined) answers.set(key, { labels, value });
    }
    return answers;
  }

  return {
    specVersion: 1,
    kind: 'metric-source',
    id: 'registry',
    capabilities: { promql: false, structured: true },
    query,
  };
}

/** Refuses a reduction that the type does not have. */
function checkReduction(metric: string, type: MetricType, reduce: MetricReduction): void {
  const allowed: Readonly<Record<MetricType, readonly string[]>> = {
    counter: ['rate', 'increase'],
    gauge: ['last', 'mean', 'min', 'max', 'sum'],
    histogram: ['rate', 'increase', 'count', 'sum', 'mean', 'quantile'],
  };
  const name = typeof reduce === 'string' ? reduce : 'quantile';
  if (allowed[type].includes(name)) return;
  throw monitoringError(
    'MNOPS_MONITORING_QUERY_INVALID',
    `Metric ${metric} is a ${type}: \`reduce: ${name}\` is not possible, ${allowed[type].join(', ')} are.`,
    { provider: 'registry', operation: 'query', details: { field: 'reduce', metric, type } },
  );
}

function labelsOf(series: AnySeries, names: readonly string[], constant: Labels, implied: Labels): Labels {
  const labels: Record<string, string> = { ...implied, ...constant };
  names.forEach((name, index) => {
    labels[name] = series.values[index] ?? '';
  });
  return labels;
}

function matches(labels: Labels, wanted: Readonly<Record<string, LabelMatch>>): boolean {
  return Object.entries(wanted).every(([name, match]) => {
    const value = labels[name] ?? '';
    if (typeof match === 'string') return value === match;
    return 'not' in match ? value !== match.not : match.oneOf.includes(value);
  });
}

/** Per series over the window, then across the group: sums add, means average, the last is the newest. */
function reduceGauge(
  members: readonly AnySeries[],
  { metric, reduce, windowMs }: MetricSelection,
  history: SampleHistory,
  atMs: number | undefined,
): number | undefined {
  const perSeries = members
    .map((series) => history.values(metric, series, windowMs, atMs))
    .filter((values) => values.length > 0);
  if (perSeries.length === 0) return undefined;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  if (reduce === 'sum')
    return perSeries.reduce((sum, values) => sum + values.reduce((inner, value) => inner + value, 0), 0);
  if (reduce === 'mean') return mean(perSeries.map(mean));
  if (reduce === 'min') return Math.min(...perSeries.map((values) => Math.min(...values)));
  if (reduce === 'max') return Math.max(...perSeries.map((values) => Math.max(...values)));
  return perSeries.at(-1)?.at(-1);
}

/** Growth of counters and histograms over the window, added up over the group. */
function reduceGrowth(
  members: readonly AnySeries[],
  { metric, reduce, windowMs }: MetricSelection,
  history: SampleHistory,
  atMs: number | undefined,
  bounds: ArrayLike<number>,
): number | undefined {
  let growth: number[] | undefined;
  let coveredMs = 0;
  for (const series of members) {
    const span = history.span(metric, series, windowMs, atMs);
    if (span === undefined) continue;
    coveredMs = Math.max(coveredMs, span.coveredMs);
    const own = span.after.map((value, index) => value - (span.before[index] ?? 0));
    growth = growth === undefined ? own : growth.map((value, index) => value + (own[index] ?? 0));
  }
  if (growth === undefined) return undefined;
  const isHistogram = growth.length > 1;
  const count = isHistogram ? (growth.at(-1) as number) : (growth[0] as number);
  const sum = isHistogram ? (growth.at(-2) as number) : 0;
  if (reduce === 'rate') return coveredMs <= 0 ? undefined : count / (coveredMs / 1_000);
  if (reduce === 'sum') return sum;
  if (reduce === 'mean') return count > 0 ? sum / count : undefined;
  if (typeof reduce === 'object') return bucketQuantile(reduce.quantile, growth.slice(0, -2), bounds);
  return count;
}
