import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallEdge, MetricPoint, MetricRole, MetricSeries } from '../../analysis/root-cause/inputs.js';
import { csvRows } from './csv.js';

/** One issue, with the metrics of the time without any before it. */
export interface PetShopCase {
  readonly name: string;
  readonly kind: string;
  readonly cause: string;
  readonly atMs: number;
  readonly entry: { readonly service: string; readonly metric: string };
  readonly calls: readonly CallEdge[];
  readonly metrics: readonly MetricSeries[];
}

interface Target {
  readonly target: { readonly node: string; readonly metric: string; readonly agg: string; readonly timestamp: number };
  readonly root_cause: { readonly node: string };
}

const roles: Readonly<Record<string, MetricRole>> = {
  latency: 'latency',
  availability: 'success',
  requests: 'traffic',
};
const statistics: Readonly<Record<string, string>> = { Average: 'mean', Sum: 'sum' };
const stepMs = 300_000;
const dayMs = 86_400_000;

/** Whether a folder is laid out as the set is. */
export function isPetShop(folder: string): boolean {
  return trafficNames(folder).length > 0;
}

/** Reads the issues of every kind of traffic and every split in the folder. */
export function petShopCases(folder: string): PetShopCase[] {
  return trafficFolders(folder).flatMap(({ traffic, root, calls, calm }) =>
    foldersIn(root)
      .filter((split) => split !== 'noissue')
      .flatMap((split) =>
        foldersIn(join(root, split))
          .filter((issue) => existsSync(join(root, split, issue, 'target.json')))
          .map((issue) => {
            const at = join(root, split, issue);
            const { target, root_cause } = JSON.parse(readFileSync(join(at, 'target.json'), 'utf8')) as Target;
            return {
              name: `${traffic}/${split}/${issue}`,
              kind: `${traffic} ${target.metric}`,
              cause: root_cause.node,
              atMs: target.timestamp * 1_000,
              entry: { service: target.node, metric: nameOf(target.metric, target.agg) },
              calls,
              metrics: joined(calm, readMetrics(join(at, 'metrics.csv'))),
            };
          }),
      ),
  );
}

/** Stretches of time without an issue, asked about as if there were one: each has nine hours before it. */
export function petShopCalm(folder: string, count: number): PetShopCase[] {
  return trafficFolders(folder).flatMap(({ traffic, calls, calm }) => {
    const times = [...new Set([...calm.values()].flatMap(({ points }) => points.map(({ atMs }) => atMs)))].sort(
      (a, b) => a - b,
    );
    const entries = [...calm.values()].filter(({ role }) => role === 'latency' || role === 'success');
    const called = new Set(calls.map(({ server }) => server));
    const seen = entries.filter(
      ({ service }) => !called.has(service) && calls.some(({ client }) => client === service),
    );
    return Array.from({ length: count }, (_, index) => {
      const first = 110 + Math.floor((index * (times.length - 113)) / count);
      const atMs = (times[first] ?? 0) + ((index * 37) % 300) * 1_000;
      const { service, name } = seen[index % seen.length] ?? { service: '', name: '' };
      const until = atMs + 2 * stepMs;
      const metrics = [...calm.values()].map((one) => ({
        ...one,
        points: one.points.filter((point) => point.atMs < until),
      }));
      const kind = `${traffic} calm`;
      return { name: `${kind} ${index}`, kind, cause: '', atMs, entry: { service, metric: name }, calls, metrics };
    });
  });
}

interface Traffic {
  readonly traffic: string;
  readonly root: string;
  readonly calls: readonly CallEdge[];
  readonly calm: ReadonlyMap<string, MetricSeries>;
}

function trafficFolders(folder: string): Traffic[] {
  return trafficNames(folder).map((traffic) => {
    const root = join(folder, traffic);
    const noIssue = join(root, 'noissue', 'metrics.csv');
    return { traffic, root, calls: readGraph(join(root, 'graph.csv')), calm: readMetrics(noIssue) };
  });
}

function trafficNames(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'graph.csv')))
    .sort();
}

function foldersIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}

function readGraph(file: string): CallEdge[] {
  const [[, ...servers] = [], ...rows] = csvRows(readFileSync(file, 'utf8'));
  return rows.flatMap(([client = '', ...cells]) =>
    servers.filter((_, index) => Number(cells[index]) > 0).map((server) => ({ client, server })),
  );
}

function nameOf(metric: string, statistic: string): string {
  return `${metric} ${statistics[statistic] ?? statistic}`;
}

function readMetrics(file: string): Map<string, MetricSeries> {
  const series = new Map<string, MetricSeries>();
  if (!existsSync(file)) return series;
  const [services = [], metrics = [], aggregates = [], , ...rows] = csvRows(readFileSync(file, 'utf8'));
  for (let column = 1; column < services.length; column += 1) {
    const role = roles[metrics[column] ?? ''];
    if (role === undefined) continue;
    const service = services[column] ?? '';
    const name = nameOf(metrics[column] ?? '', aggregates[column] ?? '');
    const points: MetricPoint[] = rows
      .filter((row) => (row[column] ?? '') !== '')
      .map((row) => ({ atMs: Number(row[0]) * 1_000, value: Number(row[column]) }));
    series.set(`${service}\n${name}`, { service, name, role, points });
  }
  return series;
}

/**
 * The calm series before those of the issue. They were recorded months apart, so the calm ones move by whole days to where
 * they end before the issue begins: the hour of the day stays what it was.
 */
function joined(calm: ReadonlyMap<string, MetricSeries>, issue: ReadonlyMap<string, MetricSeries>): MetricSeries[] {
  const begin = Math.min(...[...issue.values()].map(({ points }) => points[0]?.atMs ?? Number.POSITIVE_INFINITY));
  const end = Math.max(...[...calm.values()].map(({ points }) => points.at(-1)?.atMs ?? 0));
  const moveMs = Math.floor((begin - stepMs - end) / dayMs) * dayMs;
  return [...new Set([...calm.keys(), ...issue.keys()])].flatMap((key) => {
    const [before, during] = [calm.get(key), issue.get(key)];
    const either = during ?? before;
    if (either === undefined) return [];
    const moved = (before?.points ?? []).map(({ atMs, value }) => ({ atMs: atMs + moveMs, value }));
    return [{ ...either, points: [...moved, ...(during?.points ?? [])] }];
  });
}
