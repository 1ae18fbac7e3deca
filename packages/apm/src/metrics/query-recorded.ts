import { UnsupportedError } from '@mnops/core';
import type { LabelMatch, MetricSample, MetricSelection } from '@mnops/core/spi';
import { LatencySketch } from '../analysis/latency-sketch.js';
import type { MetricKind } from './metric.js';
import type { MetricCell, MetricSeries, RecordedMetrics } from './recorded-metrics.js';

/** Recorded series as labels see them: the program's service beside the metric's own. */
type Labels = Readonly<Record<string, string>>;

interface Group {
  readonly labels: Labels;
  readonly series: Map<MetricSeries, MetricCell>;
}

const reductions: Readonly<Record<MetricKind, readonly string[]>> = {
  counter: ['rate', 'increase'],
  gauge: ['last', 'mean', 'min', 'max', 'sum'],
  histogram: ['rate', 'increase', 'count', 'sum', 'mean'],
};

/** Answers a selection from recorded metrics, by the key of the group. Empty when there is no such metric. */
export function queryRecorded(
  metrics: RecordedMetrics,
  service: string,
  selection: MetricSelection,
  atMs: number,
): Map<string, MetricSample> {
  const { by = [], match = {}, windowMs, metric } = selection;
  const groups = new Map<string, Group>();
  for (const [series, cell] of metrics.within(metric, atMs, windowMs)) {
    const labels: Labels = { service, ...series.labels };
    if (!Object.entries(match).every(([name, wanted]) => matches(labels, name, wanted))) continue;
    const own = Object.fromEntries(by.map((name) => [name, labelOf(labels, name)]));
    const key = JSON.stringify(by.map((name) => own[name]));
    const group = groups.get(key) ?? { labels: own, series: new Map<MetricSeries, MetricCell>() };
    groups.set(key, group);
    const known = group.series.get(series);
    group.series.set(series, known === undefined ? cell : merged(known, cell));
  }
  const samples = new Map<string, MetricSample>();
  for (const [key, { labels, series }] of groups) {
    const value = reduced(series, selection);
    if (value !== undefined) samples.set(key, { labels, value, atMs });
  }
  return samples;
}

function reduced(
  series: ReadonlyMap<MetricSeries, MetricCell>,
  { reduce, windowMs }: MetricSelection,
): number | undefined {
  const cells = [...series.values()];
  const kind = [...series.keys()][0]?.kind ?? 'gauge';
  const total = (of: (cell: MetricCell) => number): number => cells.reduce((sum, cell) => sum + of(cell), 0);
  if (typeof reduce === 'object') {
    if (kind !== 'histogram') throw unsupported(kind, 'quantile');
    const sketch = new LatencySketch();
    for (const cell of cells) if (cell.sketch !== undefined) sketch.merge(cell.sketch);
    return sketch.quantile(reduce.quantile);
  }
  if (!reductions[kind].includes(reduce)) throw unsupported(kind, reduce);
  if (kind === 'counter') return total(({ sum }) => sum) / (reduce === 'rate' ? windowMs / 1_000 : 1);
  const count = total((cell) => cell.count);
  if (kind === 'histogram') {
    if (reduce === 'sum') return total(({ sum }) => sum);
    if (reduce === 'mean') return total(({ sum }) => sum) / count;
    return count / (reduce === 'rate' ? windowMs / 1_000 : 1);
  }
  // Per series over the window first, then across the series.
  const means = (): number[] => cells.map((cell) => cell.sum / cell.count);
  switch (reduce) {
    case 'min':
      return Math.min(...cells.map(({ min }) => min));
    case 'max':
      return Math.max(...cells.map(({ max }) => max));
    case 'mean':
      return means().reduce((sum, mean) => sum + mean, 0) / cells.length;
    case 'sum':
      return total(({ sum }) => sum);
    default:
      return cells.reduce((newest, cell) => (cell.lastMs > newest.lastMs ? cell : newest)).last;
  }
}

function merged(a: MetricCell, b: MetricCell): MetricCell {
  const sketch = a.sketch?.clone();
  if (b.sketch !== undefined) sketch?.merge(b.sketch);
  const newer = b.lastMs >= a.lastMs ? b : a;
  return {
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    last: newer.last,
    lastMs: newer.lastMs,
    sketch,
  };
}

function unsupported(kind: MetricKind, reduce: string): UnsupportedError {
  const allowed = kind === 'histogram' ? [...reductions[kind], 'a quantile'] : reductions[kind];
  return new UnsupportedError(`A ${kind} has no '${reduce}'.`, {
    provider: 'apm',
    operation: 'query',
    remedy: `Use ${allowed.join(', ')}.`,
  });
}

function matches(labels: Labels, name: string, wanted: LabelMatch): boolean {
  const value = labelOf(labels, name);
  if (typeof wanted === 'string') return value === wanted;
  return 'not' in wanted ? value !== wanted.not : wanted.oneOf.includes(value);
}

function labelOf(labels: Labels, name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] as string) : '';
}
