import type { Change } from './compare.js';
import type { CallEdge, MetricRole, MetricSeries, RootCauseEntry } from './inputs.js';
import { deviationOf, type MetricShift, shiftOf } from './metric-steps.js';

/** What metrics say: changes of services, by what kind of trouble they speak of. */
export interface MetricChanges {
  /** What the metric that was asked about speaks of. */
  readonly asked: MetricRole | undefined;
  readonly time: readonly Change[];
  readonly failures: readonly Change[];
  readonly usage: readonly Change[];
}

/** Spreads from the usual: for the metric that shows the trouble, for one that takes part in it, for a resource. */
const minSeen = 4.5;
const minAsked = 2;
const minTakesPart = 3;
const minUsage = 10;
/** Smallest change, as a ratio to what was usual. */
const minUsageRatio = 1.5;
/** Spread of a resource at least, as a share of what the service takes that usually takes most, and the most that counts. */
const spreadOfLargest = 0.1;
const maxUsage = 10;
/** What a service on the way keeps when all of its trouble is explained by those that it calls. */
const passedOnShare = 0.05;

/**
 * Changes of metrics after a time. Time and failures add up along calls: each service has what its own metric says less
 * what those say that it calls, each weighted by its traffic. So the deepest service that explains the trouble has most.
 */
export function metricChanges(
  series: readonly MetricSeries[],
  atMs: number,
  calls: readonly CallEdge[],
  entry: RootCauseEntry | undefined,
): MetricChanges {
  const graph = new Graph(calls);
  const asked = series.find(({ service, name }) => service === entry?.service && name === entry?.metric);
  const shifted = (some: readonly MetricSeries[]): MetricShift[] => some.flatMap((one) => shiftOf(one, atMs) ?? []);
  const traffic = byService(shifted(series.filter(({ role }) => role === 'traffic')), ({ usual }) => usual);
  const askedShift = asked === undefined ? undefined : shiftOf(asked, atMs);
  const times = askedShift === undefined ? undefined : worstTimes(askedShift);
  const passed = (role: MetricRole): Change[] => {
    const shifts = byService(shifted(ofRole(series, role, asked)), worstDeviation);
    return passedOn(shifts, traffic, graph, times, entry?.service);
  };
  const ofAsked = asked === undefined ? [] : passed(asked.role);
  // What was asked about and is as usual has no cause.
  if (asked !== undefined && ofAsked.length === 0) return { asked: asked.role, time: [], failures: [], usage: [] };
  const usage = usageChanges(shifted(series.filter(({ role }) => role === 'usage')));
  const failures = [...passed('success'), ...passed('failures')];
  return { asked: asked?.role, time: passed('latency'), failures, usage };
}

/** One series of a role for each service: the metric that was asked about, or the one that most services have. */
function ofRole(series: readonly MetricSeries[], role: MetricRole, asked: MetricSeries | undefined): MetricSeries[] {
  const names = new Map<string, number>();
  const fitting = series.filter((one) => one.role === role);
  for (const { name } of fitting) names.set(name, (names.get(name) ?? 0) + 1);
  const wanted = asked?.role === role ? asked.name : [...names].sort((a, b) => b[1] - a[1])[0]?.[0];
  return fitting.filter(({ name }) => name === wanted);
}

/** One series of each service, where it has one for each of its instances: the one of which there is most. */
function byService(shifts: readonly MetricShift[], rank: (shift: MetricShift) => number): Map<string, MetricShift> {
  const first = new Map<string, MetricShift>();
  for (const shift of shifts) {
    const known = first.get(shift.series.service);
    if (known === undefined || rank(shift) > rank(known)) first.set(shift.series.service, shift);
  }
  return first;
}

function worstDeviation(shift: MetricShift): number {
  return shift.after.reduce((worst, { value }) => Math.max(worst, deviationOf(shift, value)), 0);
}

interface Burden {
  readonly shift: MetricShift;
  /** Worst value after. */
  readonly value: number;
  readonly deviation: number;
  /** Trouble in all calls of a step. */
  readonly amount: number;
}

function passedOn(
  shifts: ReadonlyMap<string, MetricShift>,
  traffic: ReadonlyMap<string, MetricShift>,
  graph: Graph,
  times: ReadonlySet<number> | undefined,
  entry: string | undefined,
): Change[] {
  if (times?.size === 0) return [];
  const below = entry === undefined || !shifts.has(entry) ? undefined : graph.below(entry);
  const burdens = new Map<string, Burden>();
  for (const [service, shift] of shifts) {
    if (below !== undefined && !below.has(service)) continue;
    const burden = burdenOf(shift, traffic.get(service), times);
    if (burden !== undefined && burden.deviation >= minTakesPart) burdens.set(service, burden);
  }
  if (![...burdens.values()].some(({ deviation }) => deviation >= minSeen)) return [];
  const changes = [...burdens].map(([service, { shift, value, amount }]) => {
    const explained = graph.calledBy(service).reduce((sum, called) => sum + (burdens.get(called)?.amount ?? 0), 0);
    const own = Math.max(amount - explained, passedOnShare * amount);
    return metricChange(shift, value, own);
  });
  return changes.filter(({ perTrace }) => perTrace > 0);
}

/** Times at which the metric that was asked about is nearly as bad as it gets; none when it is as usual. */
function worstTimes(asked: MetricShift): Set<number> {
  const worst = Math.max(...asked.after.map(({ value }) => deviationOf(asked, value)));
  if (worst < minAsked) return new Set();
  return new Set(asked.after.filter(({ value }) => deviationOf(asked, value) >= worst / 2).map(({ atMs }) => atMs));
}

function burdenOf(
  shift: MetricShift,
  traffic: MetricShift | undefined,
  times: ReadonlySet<number> | undefined,
): Burden | undefined {
  let worst: Burden | undefined;
  for (const { atMs, value } of shift.after) {
    if (times !== undefined && !times.has(atMs)) continue;
    const deviation = deviationOf(shift, value);
    const callsThen = traffic?.after.find((point) => point.atMs === atMs)?.value ?? traffic?.usual ?? 1;
    const amount = Math.max(0, deviation === 0 ? 0 : Math.abs(value - shift.usual)) * Math.max(0, callsThen);
    if (worst === undefined || deviation > worst.deviation) worst = { shift, value, deviation, amount };
  }
  return worst;
}

function usageChanges(shifts: readonly MetricShift[]): Change[] {
  const largest = new Map<string, number>();
  for (const { series, usual } of shifts) largest.set(series.name, Math.max(largest.get(series.name) ?? 0, usual));
  const changes: Change[] = [];
  for (const shift of shifts) {
    if (shift.isNew) continue;
    // What is much for an idle service is little for others: the busiest one says what counts.
    const scale = Math.max(shift.scale, spreadOfLargest * (largest.get(shift.series.name) ?? 0));
    // One step above is a spike; where there are more of them, two must be.
    const highest = shift.after.map((point) => point.value).sort((a, b) => b - a);
    const value = highest[highest.length >= 3 ? 1 : 0] ?? 0;
    const deviation = deviationOf({ ...shift, scale }, value);
    if (deviation < minUsage || value < minUsageRatio * shift.usual) continue;
    changes.push(metricChange(shift, value, Math.min(maxUsage, deviation / minUsage)));
  }
  return changes;
}

function metricChange({ series, usual }: MetricShift, value: number, amount: number): Change {
  return {
    signal: 'metric',
    service: series.service,
    operation: '',
    caller: undefined,
    before: usual,
    after: value,
    perTrace: amount,

    metric: series.name,
  };
}

/** Who calls whom. */
class Graph {
  readonly #called = new Map<string, Set<string>>();

  constructor(edges: readonly CallEdge[]) {
    for (const { client, server } of edges) {
      const called = this.#called.get(client) ?? new Set();
      if (client !== server) this.#called.set(client, called.add(server));
    }
  }

  calledBy(service: string): readonly string[] {
    return [...(this.#called.get(service) ?? [])];
  }

  /** A service and all that it leads to. */
  below(service: string): ReadonlySet<string> {
    const seen = new Set([service]);
    for (const one of seen) for (const called of this.#called.get(one) ?? []) seen.add(called);
    return seen;
  }
}
