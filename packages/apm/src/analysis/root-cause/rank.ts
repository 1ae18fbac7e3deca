import type { Span } from '@mnops/core/spi';
import type { Change } from './compare.js';
import { type Concentration, concentrationOf } from './concentration.js';
import { evidenceOf, type RootCauseEvidence } from './evidence.js';
import type { CallEdge, LogRecord, MetricRole, MetricSeries, RootCauseEntry } from './inputs.js';
import { type MetricChanges, metricChanges } from './metric-evidence.js';
import type { Profile } from './profile.js';
import { type ComparedWindows, comparedWindows, edgesOf, minTraces, type WindowChanges } from './windows.js';

export type { RootCauseEvidence } from './evidence.js';

/** A service that may be the cause. */
export interface RootCauseCandidate {
  readonly service: string;
  /** Present when one version bears the trouble. */
  readonly version?: string | undefined;
  /** Present when one instance bears the trouble. */
  readonly instance?: string | undefined;
  /** The operation that changed most. */
  readonly operation?: string | undefined;
  /** Share of the trouble that it explains, 0 to 1. */
  readonly score: number;
  /** The strongest first. */
  readonly evidence: readonly RootCauseEvidence[];
  /** Traces that show it; at most five. */
  readonly traceIds: readonly string[];
}

/** Who is to blame, as far as the traces tell. */
export interface RootCauseRanking {
  /** `none`: nothing changed beyond what chance explains, or there are too few traces. */
  readonly verdict: 'found' | 'none';
  /** The most likely first; at most ten. */
  readonly candidates: readonly RootCauseCandidate[];
  /** Traces that were compared. */
  readonly traces: { readonly normal: number; readonly faulty: number };
  /** When the change began, where `at` was given and a time near it stands out. */
  readonly changedAt?: Date | undefined;
}

/** What there is from two windows. */
export interface RankInput {
  /** Spans of traces from before the trouble. */
  readonly normal?: Iterable<Span> | undefined;
  /** Spans of traces from the time of the trouble. */
  readonly faulty?: Iterable<Span> | undefined;
  /** Metrics of both windows; what is before `at` is normal. */
  readonly metrics?: readonly MetricSeries[] | undefined;
  /**
   * Lines of both windows; what is before `at` is normal. At most 100,000 count, the newest. A line that names no span or
   * trace of the two windows counts only where it is a warning or an error, by its `level`, its first words or an exception
   * in it.
   */
  readonly logs?: readonly LogRecord[] | undefined;
  /** Who calls whom. Default: what the traces say. Metrics alone need it to find who passes trouble on. */
  readonly calls?: readonly CallEdge[] | undefined;
  /** Only traces that this service or operation takes part in, and only metrics of what the service leads to. */
  readonly entry?: RootCauseEntry | undefined;
  /**
   * When the trouble began. It may be off by a minute: the time is looked for around it. Default: the start of the first
   * faulty trace, taken as it is.
   */
  readonly at?: Date | undefined;
}

/** What a change on the way to a service says about it, and about its caller. */
const calleeShare = 1;
const callerShare = 0.3;

/** As the `rankRootCauses` that users call, for input that is checked. */
export function rankRootCauses(input: RankInput): RootCauseRanking {
  const windows = comparedWindows(input);
  const { before, after, atMs, changedAtMs } = windows;
  const traces = { normal: before.traces, faulty: after.traces };
  const calls = input.calls ?? edgesOf(before.recording);
  const metrics = metricChanges(input.metrics ?? [], changedAtMs ?? atMs, calls, input.entry);
  const candidates = scored(windows, metrics);
  const changedAt = changedAtMs === undefined ? {} : { changedAt: new Date(changedAtMs) };
  if (candidates.length === 0) return { verdict: 'none', candidates, traces };
  return { verdict: 'found', candidates, traces, ...changedAt };
}

interface Suspect {
  score: number;
  readonly changes: { readonly change: Change; readonly weight: number }[];
}

function scored({ before, after, changes }: ComparedWindows, metrics: MetricChanges): RootCauseCandidate[] {
  const groups = groupsOf(changes, metrics, before).filter((group) => group.weight > 0);
  const allWeight = groups.reduce((sum, group) => sum + group.weight, 0);
  const suspects = new Map<string, Suspect>();
  const blame = (service: string, change: Change, weight: number): void => {
    const suspect = suspects.get(service) ?? { score: 0, changes: [] };
    suspect.score += weight;
    suspect.changes.push({ change, weight });
    suspects.set(service, suspect);
  };
  for (const group of groups) {
    const whole = total(group.changes);
    for (const change of group.changes) {
      const share = (group.weight / allWeight) * (change.perTrace / whole);
      const onEdge = change.place?.kind === 'edge-gap';
      blame(change.service, change, share * (onEdge ? calleeShare : 1));
      if (onEdge && change.caller !== undefined) blame(change.caller, change, share * callerShare);
    }
  }
  const whole = [...suspects.values()].reduce((sum, suspect) => sum + suspect.score, 0);
  return [...suspects]
    .map(([service, suspect]) => candidateOf(service, suspect, suspect.score / whole, before, after))
    .sort((a, b) => b.score - a.score)
    .filter(({ score }, rank) => rank < 3 || score >= 0.02)
    .slice(0, 10);
}

interface Group {
  readonly changes: readonly Change[];
  readonly weight: number;
}

function groupsOf(changes: WindowChanges, metrics: MetricChanges, before: Profile): Group[] {
  const { slower, failing, happenings } = changes;
  // Where there are traces, times and failures of metrics say the same less exactly, unless one was asked about.
  const ofMetric = (role: readonly MetricRole[]): number =>
    metrics.asked === undefined
      ? before.traces < minTraces
        ? 1
        : 0
      : role.includes(metrics.asked)
        ? 1
        : otherMetricWeight;
  return [
    { changes: slower, weight: Math.min(1, total(slower) / Math.max(1, before.traceMs)) },
    { changes: failing, weight: Math.min(1, 10 * total(failing)) },
    // What happens less or more often mostly follows from failures and waits, so it decides only where they say little.
    { changes: happenings, weight: happeningWeight * Math.min(1, total(happenings)) },
    { changes: metrics.time, weight: metrics.time.length > 0 ? ofMetric(['latency']) : 0 },
    { changes: metrics.failures, weight: metrics.failures.length > 0 ? ofMetric(['success', 'failures']) : 0 },
    { changes: metrics.usage, weight: metrics.usage.length > 0 ? usageWeight * Math.min(1, total(metrics.usage)) : 0 },
  ];
}

const happeningWeight = 0.2;
const otherMetricWeight = 0.1;
const usageWeight = 0.5;

function candidateOf(
  service: string,
  suspect: Suspect,
  score: number,
  before: Profile,
  after: Profile,
): RootCauseCandidate {
  const weighted = suspect.changes.sort((a, b) => b.weight - a.weight);
  const inOrder = weighted.map(({ change }) => change);
  const own = weighted.filter(({ change }) => change.service === service);
  const where = concentrationOf(own, before, after);
  const operation = own.find(({ change }) => change.operation !== '')?.change.operation;
  return {
    service,
    ...where,
    ...(operation === undefined ? {} : { operation }),
    score,
    evidence: inOrder.slice(0, 5).map((change) => evidenceOf(change, change.service === service ? where : {})),
    traceIds: examplesOf(inOrder, where, after),
  };
}

function examplesOf(changes: readonly Change[], { version }: Concentration, { recording }: Profile): string[] {
  const ids = new Set<string>();
  for (const { signal, now = [], traceIds = [] } of changes) {
    for (const id of traceIds) if (id !== '') ids.add(id);
    const samples = now.filter((sample) => version === undefined || sample.by?.version === version);
    const worst =
      signal === 'errors' ? samples.filter((sample) => sample.failed) : samples.toSorted((a, b) => b.ms - a.ms);
    for (const { trace } of worst.slice(0, 3)) ids.add(recording.traces[trace]?.traceId ?? '');
  }
  return [...ids].slice(0, 5);
}

function total(changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + change.perTrace, 0);
}
