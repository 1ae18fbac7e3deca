import type { CallEdge, MetricSeries } from '../../analysis/root-cause/inputs.js';

/** What the methods that others publish work with. */
export interface BaselineInput {
  readonly metrics: readonly MetricSeries[];
  readonly calls: readonly CallEdge[];
  readonly atMs: number;
  readonly entry: string | undefined;
}

/** Services in the order of suspicion. */
export type Baseline = (input: BaselineInput) => string[];

/** Scale of what a series did before, and its middle. */
type Scale = (values: readonly number[]) => readonly [middle: number, spread: number];

const meanScale: Scale = (values) => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)];
};

const robustScale: Scale = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return [at(0.5), at(0.75) - at(0.25)];
};

function deviations({ metrics, atMs }: BaselineInput, scaleOf: Scale): Map<string, number> {
  const worst = new Map<string, number>();
  for (const { service, points } of metrics) {
    const finite = points.filter(({ value }) => Number.isFinite(value));
    const before = finite.filter((point) => point.atMs < atMs).map(({ value }) => value);
    if (before.length < 5) continue;
    const [middle, spread] = scaleOf(before);
    const scale = Math.max(spread, 1e-3 * Math.abs(middle), 1e-9);
    for (const point of finite) {
      if (point.atMs < atMs || point.atMs > atMs + 600_000) continue;
      worst.set(service, Math.max(worst.get(service) ?? 0, Math.abs(point.value - middle) / scale));
    }
  }
  return worst;
}

function inOrder(scores: ReadonlyMap<string, number>): string[] {
  return [...scores].sort((a, b) => b[1] - a[1]).map(([service]) => service);
}

/** Goes down from the entry as long as what is called deviates by three; the deepest comes first. */
function traversal(input: BaselineInput): string[] {
  const scores = deviations(input, robustScale);
  const depths = new Map(input.entry === undefined ? [] : [[input.entry, 0]]);
  for (const [service, depth] of depths) {
    for (const { client, server } of input.calls) {
      if (client !== service || depths.has(server) || (scores.get(server) ?? 0) < 3) continue;
      depths.set(server, depth + 1);
    }
  }
  return [...depths]
    .sort((a, b) => b[1] - a[1] || (scores.get(b[0]) ?? 0) - (scores.get(a[0]) ?? 0))
    .map(([service]) => service);
}

/** Where a walk ends up that follows calls in the proportion of the deviations, and jumps back one time in seven. */
function randomWalk(input: BaselineInput): string[] {
  const scores = deviations(input, robustScale);
  const services = [...scores.keys()];
  const start = new Map(
    services.map((service) => [
      service,
      input.entry === undefined ? 1 / services.length : Number(service === input.entry),
    ]),
  );
  let shares = new Map(start);
  for (let round = 0; round < 50; round += 1) {
    const next = new Map(services.map((service) => [service, 0.15 * (start.get(service) ?? 0)]));
    for (const [service, value] of shares) {
      const called = input.calls.filter(({ client }) => client === service).map(({ server }) => server);
      const ways = [...called.filter((server) => scores.has(server)), service];
      const whole = ways.reduce((sum, way) => sum + Math.min(1e3, scores.get(way) ?? 0) + 1e-6, 0);
      for (const way of ways) {
        const part = (Math.min(1e3, scores.get(way) ?? 0) + 1e-6) / whole;
        next.set(way, (next.get(way) ?? 0) + 0.85 * value * part);
      }
    }
    shares = next;
  }
  return inOrder(shares);
}

/** Published methods, written anew for one harness. */
export const baselines: ReadonlyMap<string, Baseline> = new Map<string, Baseline>([
  ['robust scorer', (input) => inOrder(deviations(input, robustScale))],
  ['N-sigma', (input) => inOrder(deviations(input, meanScale))],
  ['traversal', traversal],
  ['random walk', randomWalk],
]);
