import { coreError, UnsupportedError } from '@mnops/core';
import type { LabelMatch, MetricQuery, MetricSample, MetricSelection, MetricSource } from '@mnops/core/spi';
import { countOf, emptyWindow, type Figures, failedMetric, quantileOf, type Series, sumOf } from './figures.js';

/**
 * The request figures of a proxy as a metric source: the histogram `http_server_request_duration_seconds` and the counter
 * `mnops_proxy_failed_requests_total`, over windows of up to an hour.
 */
export function proxyMetricSource(figures: Figures): MetricSource {
  return {
    specVersion: 1,
    kind: 'metric-source',
    id: 'proxy',
    capabilities: { promql: false, structured: true },
    async query(query, call) {
      call.signal.throwIfAborted();
      const nowMs = figures.clock.now();
      return answer(figures, query, call.atMs ?? nowMs, nowMs);
    },
  };
}

function answer(figures: Figures, query: MetricQuery, atMs: number, nowMs: number): readonly MetricSample[] {
  if ('promql' in query) throw new UnsupportedError('The figures of the proxy take structured selections, not PromQL.');
  const groups = (selection: MetricSelection): Map<string, Group> => select(figures, selection, atMs, nowMs);
  if (!('ratio' in query)) return samples(groups(query), (group) => reduce(query, group), atMs);
  const { part, whole } = query.ratio;
  const parts = groups(part);
  return samples(
    groups(whole),
    (group, key) => {
      const divisor = reduce(whole, group);
      if (divisor === undefined || divisor === 0) return undefined;
      const found = parts.get(key);
      return (found === undefined ? 0 : (reduce(part, found) ?? 0)) / divisor;
    },
    atMs,
  );
}

interface Group {
  readonly labels: Record<string, string>;
  readonly window: Float64Array;
}

function samples(
  groups: ReadonlyMap<string, Group>,
  value: (group: Group, key: string) => number | undefined,
  atMs: number,
): MetricSample[] {
  const found: MetricSample[] = [];
  for (const [key, group] of groups) {
    const reduced = value(group, key);
    if (reduced !== undefined && Number.isFinite(reduced)) found.push({ labels: group.labels, value: reduced, atMs });
  }
  return found;
}

function select(figures: Figures, selection: MetricSelection, atMs: number, nowMs: number): Map<string, Group> {
  if (!(selection.windowMs > 0)) {
    throw coreError('MNOPS_CORE_CONFIG_INVALID', 'The windowMs of a selection is a number above 0.');
  }
  const monotonic = figures.clock.monotonic();
  const toMs = monotonic - (nowMs - atMs);
  const groups = new Map<string, Group>();
  for (const series of figures.all()) {
    if (series.metric !== selection.metric || !matches(series, selection.match ?? {})) continue;
    if (series.lastMs < toMs - selection.windowMs) continue;
    const labels: Record<string, string> = {};
    for (const name of selection.by ?? []) labels[name] = series.labels[name] ?? '';
    const key = Object.values(labels).join('\0');
    let group = groups.get(key);
    if (group === undefined) {
      group = { labels, window: emptyWindow() };
      groups.set(key, group);
    }
    series.collect(toMs - selection.windowMs, toMs, monotonic, group.window);
  }
  for (const [key, group] of groups) if (countOf(group.window) === 0) groups.delete(key);
  return groups;
}

function matches(series: Series, match: Readonly<Record<string, LabelMatch>>): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const found = series.labels[name] ?? '';
    if (typeof wanted === 'string') return found === wanted;
    if ('not' in wanted) return found !== wanted.not;
    return wanted.oneOf.includes(found);
  });
}

function reduce(selection: MetricSelection, group: Group): number | undefined {
  const { metric, reduce: how, windowMs } = selection;
  if (how === 'increase' || how === 'rate') {
    const count = countOf(group.window);
    return how === 'rate' ? count / (windowMs / 1_000) : count;
  }
  if (metric !== failedMetric) {
    if (how === 'count') return countOf(group.window);
    if (how === 'sum') return sumOf(group.window);
    if (how === 'mean') return sumOf(group.window) / countOf(group.window);
    if (typeof how === 'object') return quantileOf(group.window, how.quantile);
  }
  const reduction = typeof how === 'object' ? 'quantile' : how;
  const kind = metric === failedMetric ? 'counter' : 'histogram';
  throw new UnsupportedError(`${metric} is a ${kind}: the reduction '${reduction}' means nothing there.`);
}
