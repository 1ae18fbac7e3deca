import { UnsupportedError } from '../../errors/mnops-error.js';
import type {
  LabelMatch,
  MetricQuery,
  MetricReduction,
  MetricSample,
  MetricSelection,
  MetricSource,
} from '../../spi/metric-source.js';
import { fakeClock } from '../fake-clock.js';
import type { MetricSourceSubject } from '../metric-source-contract.js';

type Kind = 'counter' | 'gauge' | 'histogram';

interface Series {
  readonly metric: string;
  readonly kind: Kind;
  readonly labels: Readonly<Record<string, string>>;
  /** For a counter totals, for a gauge values, for a histogram single observations. */
  readonly points: { readonly atMs: number; readonly value: number }[];
  current: number;
}

/** Parts of the reference that a test replaces to break one rule. */
export interface MetricRules {
  increase(points: readonly number[]): number;
  matches(value: string | undefined, match: LabelMatch): boolean;
  groupKey(labels: Readonly<Record<string, string>>, by: readonly string[] | undefined): Record<string, string>;
  /** The answer for a group without data. */
  readonly empty: readonly MetricSample[];
  ratio(part: number | undefined, whole: number | undefined): number | undefined;
  across(reduce: MetricReduction, values: readonly number[]): number;
  /** Whether an aborted call is noticed. */
  readonly listens: boolean;
  readonly refusesPromql: boolean;
  quantile(sorted: readonly number[], q: number): number;
}

export const goodRules: MetricRules = {
  increase: (points) =>
    points.slice(1).reduce((sum, value, index) => {
      const before = points[index] ?? 0;
      return sum + (value < before ? value : value - before);
    }, 0),
  matches: (value = '', match) => {
    if (typeof match === 'string') return value === match;
    return 'not' in match ? value !== match.not : match.oneOf.includes(value);
  },
  groupKey: (labels, by = []) => Object.fromEntries(by.map((label) => [label, labels[label] ?? ''])),
  empty: [],
  ratio: (part, whole) => (whole === undefined ? undefined : (part ?? 0) / whole),
  across: (reduce, values) => {
    if (reduce === 'max') return Math.max(...values);
    if (reduce === 'min') return Math.min(...values);
    const sum = values.reduce((total, value) => total + value, 0);
    return reduce === 'mean' || reduce === 'last' ? sum / values.length : sum;
  },
  listens: true,
  refusesPromql: true,
  quantile: (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0,
};

/** A metric source that keeps every point, for the suite's test of itself. */
export function referenceMetricSource(rules: MetricRules = goodRules): MetricSourceSubject {
  const clock = fakeClock();
  const series: Series[] = [];

  function find(kind: Kind, metric: string, labels: Readonly<Record<string, string>>): Series {
    const key = JSON.stringify(labels);
    const known = series.find((each) => each.metric === metric && JSON.stringify(each.labels) === key);
    if (known !== undefined) return known;
    const made: Series = { metric, kind, labels, points: [], current: 0 };
    series.push(made);
    return made;
  }

  function reduced(selection: MetricSelection, atMs: number): { labels: Record<string, string>; value: number }[] {
    const groups = new Map<string, { labels: Record<string, string>; values: number[]; observed: number[] }>();
    for (const each of series) {
      if (each.metric !== selection.metric) continue;
      const fits = Object.entries(selection.match ?? {}).every(([label, match]) =>
        rules.matches(each.labels[label], match),
      );
      if (!fits) continue;
      const points = each.points.filter((point) => point.atMs >= atMs - selection.windowMs - 1 && point.atMs <= atMs);
      if (points.length === 0) continue;
      const labels = rules.groupKey(each.labels, selection.by);
      const key = JSON.stringify(labels);
      const group = groups.get(key) ?? { labels, values: [], observed: [] };
      groups.set(key, group);
      const values = points.map((point) => point.value);
      if (each.kind === 'histogram') group.observed.push(...values);
      else group.values.push(overTime(each.kind, selection, values));
    }
    return [...groups.values()].map(({ labels, values, observed }) => {
      const value = observed.length > 0 ? ofObservations(selection, observed) : rules.across(selection.reduce, values);
      return { labels, value };
    });
  }

  function overTime(kind: Kind, { reduce, windowMs }: MetricSelection, values: readonly number[]): number {
    if (kind === 'counter') {
      const increase = rules.increase(values);
      return reduce === 'rate' ? increase / (windowMs / 1_000) : increase;
    }
    if (reduce === 'last') return values.at(-1) ?? 0;
    return rules.across(reduce, values);
  }

  function ofObservations({ reduce, windowMs }: MetricSelection, observed: readonly number[]): number {
    const sum = observed.reduce((total, value) => total + value, 0);
    if (typeof reduce === 'object')
      return rules.quantile(
        [...observed].sort((a, b) => a - b),
        reduce.quantile,
      );
    if (reduce === 'sum') return sum;
    if (reduce === 'mean') return sum / observed.length;
    return reduce === 'rate' ? observed.length / (windowMs / 1_000) : observed.length;
  }

  function answer(query: MetricQuery, atMs: number): readonly MetricSample[] {
    if ('promql' in query) {
      if (rules.refusesPromql) throw new UnsupportedError('No PromQL.');
      return [];
    }
    if (!('ratio' in query)) {
      const samples = reduced(query, atMs).map((sample) => ({ ...sample, atMs }));
      return samples.length === 0 ? rules.empty : samples;
    }
    const [part, whole] = [query.ratio.part, query.ratio.whole].map(
      (selection) => new Map(reduced(selection, atMs).map((sample) => [JSON.stringify(sample.labels), sample])),
    );
    const keys = new Set([...(part?.keys() ?? []), ...(whole?.keys() ?? [])]);
    return [...keys].flatMap((key) => {
      const value = rules.ratio(part?.get(key)?.value, whole?.get(key)?.value);
      const labels = whole?.get(key)?.labels ?? part?.get(key)?.labels ?? {};
      return value === undefined ? [] : [{ labels, value, atMs }];
    });
  }

  const provider: MetricSource = {
    specVersion: 1,
    kind: 'metric-source',
    id: 'reference',
    capabilities: { promql: false, structured: true },
    async query(query, call) {
      if (rules.listens) call.signal.throwIfAborted();
      return answer(query, call.atMs ?? clock.now());
    },
  };
  const record = (kind: Kind, metric: string, labels: Readonly<Record<string, string>>, value: number): void => {
    const found = find(kind, metric, labels);
    found.current = value;
    if (kind === 'histogram') found.points.push({ atMs: clock.now(), value });
  };
  return {
    provider,
    feed: {
      counter: (metric, labels, value) => record('counter', metric, labels, value),
      gauge: (metric, labels, value) => record('gauge', metric, labels, value),
      observe: (metric, labels, value) => record('histogram', metric, labels, value),
      tick: async (ms) => {
        await clock.advance(ms);
        for (const each of series) {
          if (each.kind !== 'histogram') each.points.push({ atMs: clock.now(), value: each.current });
        }
      },
    },
  };
}
