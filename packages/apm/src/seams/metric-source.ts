import { UnsupportedError } from '@mnops/core';
import type { LabelMatch, MetricQuery, MetricSample, MetricSelection, MetricSource } from '@mnops/core/spi';
import { LatencySketch } from '../analysis/latency-sketch.js';
import { checkMetricCall, checkMetricQuery, requestMetric } from './metric-query.js';
import type { RequestLabels, RequestSeries } from './request-series.js';

/** Answers structured queries about the requests that server spans stand for, and about recorded metrics. */
export function traceMetricSource(
  series: () => RequestSeries,
  now: () => number,
  recorded?: (selection: MetricSelection, atMs: number) => Map<string, MetricSample>,
): MetricSource {
  const select = (selection: MetricSelection, atMs: number): Map<string, MetricSample> => {
    const samples = new Map<string, MetricSample>();
    if (selection.metric !== requestMetric) return recorded?.(selection, atMs) ?? samples;
    for (const [key, { labels, sketch }] of grouped(series(), selection, atMs)) {
      const value = reduced(sketch, selection);
      if (value !== undefined) samples.set(key, { labels, value, atMs });
    }
    return samples;
  };
  return {
    specVersion: 1,
    kind: 'metric-source',
    id: 'apm',
    capabilities: { promql: false, structured: true },
    async query(query: MetricQuery, call): Promise<readonly MetricSample[]> {
      checkMetricCall(call);
      call.signal.throwIfAborted();
      const atMs = call.atMs ?? now();
      if (typeof query === 'object' && query !== null && 'promql' in query) {
        throw new UnsupportedError('Traces do not answer PromQL.', {
          provider: 'apm',
          operation: 'query',
          remedy: `Ask with a selection of the metric ${requestMetric}, or of one that was recorded.`,
        });
      }
      checkMetricQuery(query);
      if (!('ratio' in query)) return [...select(query, atMs).values()];
      const part = select(query.ratio.part, atMs);
      const result: MetricSample[] = [];
      for (const [key, whole] of select(query.ratio.whole, atMs)) {
        if (whole.value === 0) continue;
        result.push({ ...whole, value: (part.get(key)?.value ?? 0) / whole.value });
      }
      return result;
    },
  };
}

interface Group {
  readonly labels: Readonly<Record<string, string>>;
  readonly sketch: LatencySketch;
}

function grouped(series: RequestSeries, selection: MetricSelection, atMs: number): Map<string, Group> {
  const groups = new Map<string, Group>();
  const { by = [], match = {} } = selection;
  for (const [labels, sketch] of series.within(atMs, selection.windowMs)) {
    if (!Object.entries(match).every(([name, wanted]) => matches(labels, name, wanted))) continue;
    const own = Object.fromEntries(by.map((name) => [name, labelOf(labels, name)]));
    const key = JSON.stringify(by.map((name) => own[name]));
    let group = groups.get(key);
    if (group === undefined) {
      group = { labels: own, sketch: new LatencySketch() };
      groups.set(key, group);
    }
    group.sketch.merge(sketch);
  }
  return groups;
}

function reduced(sketch: LatencySketch, { reduce, windowMs }: MetricSelection): number | undefined {
  if (typeof reduce === 'object') return sketch.quantile(reduce.quantile);
  switch (reduce) {
    case 'rate':
      return sketch.count / (windowMs / 1_000);
    case 'increase':
    case 'count':
      return sketch.count;
    case 'sum':
      return sketch.sum;
    case 'mean':
      return sketch.count > 0 ? sketch.sum / sketch.count : undefined;
    default:
      throw new UnsupportedError(`A histogram has no '${reduce}'.`, {
        provider: 'apm',
        operation: 'query',
        remedy: 'Use rate, increase, count, sum, mean or a quantile.',
      });
  }
}

function matches(labels: RequestLabels, name: string, wanted: LabelMatch): boolean {
  const value = labelOf(labels, name);
  if (typeof wanted === 'string') return value === wanted;
  return 'not' in wanted ? value !== wanted.not : wanted.oneOf.includes(value);
}

function labelOf(labels: RequestLabels, name: string): string {
  return Object.hasOwn(labels, name) ? labels[name as keyof RequestLabels] : '';
}
