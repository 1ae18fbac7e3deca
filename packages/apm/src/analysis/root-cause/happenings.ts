import type { Change } from './compare.js';
import { likelihoodRatio } from './likelihood.js';
import type { Happening, Profile, Run } from './profile.js';

/** Runs of an operation on either side, below which what happens in them says nothing. */
const minRuns = 5;
/** Standard errors that a change of calls per run must be away from chance. */
const certainty = 4;
/** The same for the share of runs, as the likelihood ratio of two shares: the square of the standard errors. */
const minLikelihood = 20;
/** Smallest change of calls per run, and of the share of runs. */
const minTimes = 0.1;
const minShare = 0.1;
/** How much more something bad in itself says: nothing bad, a warning, an error that is new or more frequent. */
const severityWeights = [1, 1.5, 3] as const;
/** What is left of a change above one that explains it. */
const explainedShare = 0.15;
/** Size of a change below, relative to the one above, from which on it explains it. */
const explainingShare = 0.3;

/**
 * What happens in the runs of an operation more or less often than before: calls, lines of its log, exceptions. A change
 * in what an operation calls, directly or not, explains a change of its own.
 */
export function changedHappenings(normal: Profile, faulty: Profile): Change[] {
  const changes: Change[] = [];
  for (const key of new Set([...normal.happenings.keys(), ...faulty.happenings.keys()])) {
    const [then, now] = [normal.happenings.get(key), faulty.happenings.get(key)];
    const either = now ?? then;
    const run = either && faulty.runs.get(either.run);
    if (either === undefined || run === undefined) continue;
    const change = changeOf(either, run, { then, now, runThen: normal.runs.get(either.run), faulty, key });
    if (change !== undefined) changes.push(change);
  }
  return unexplained(changes, normal, faulty);
}

interface Both {
  readonly key: string;
  readonly then: Happening | undefined;
  readonly now: Happening | undefined;
  readonly runThen: Run | undefined;
  readonly faulty: Profile;
}

function changeOf(either: Happening, run: Run, { key, then, now, runThen, faulty }: Both): Change | undefined {
  const { service, operation } = run;
  const [runsThen, runsNow] = [runThen?.at.length ?? 0, run.at.length];
  if (runThen === undefined || runThen.traces < minRuns || run.traces < minRuns) return undefined;
  // Lines without a run of their own depend on what else the service does: only bad ones say something.
  if (operation === '' && either.severity === 0) return undefined;
  const independent = Math.min(runThen.traces / runsThen, run.traces / runsNow);
  const [sharesThen, sharesNow] = [(then?.at.length ?? 0) / runsThen, (now?.at.length ?? 0) / runsNow];
  const [timesThen, timesNow] = [(then?.times ?? 0) / runsThen, (now?.times ?? 0) / runsNow];
  const error = Math.sqrt((Math.max(timesThen, timesNow) * (1 / runsThen + 1 / runsNow)) / independent);
  const difference = Math.abs(timesNow - timesThen);
  const isCall = either.kind === 'call';
  const byTimes = isCall && difference >= minTimes && difference >= certainty * error;
  const shareDifference = Math.abs(sharesNow - sharesThen);
  const likelihood = independent * likelihoodRatio(then?.at.length ?? 0, runsThen, now?.at.length ?? 0, runsNow);
  const byShare = shareDifference >= minShare && likelihood >= minLikelihood;
  if (!byTimes && !byShare) return undefined;
  // Fewer errors are no trouble.
  if (either.severity === 2 && sharesNow < sharesThen) return undefined;
  const severity = sharesNow > sharesThen ? (severityWeights[either.severity] ?? 1) : 1;
  return {
    signal: isCall ? 'structure' : 'log',
    service,
    operation,
    caller: undefined,
    before: isCall ? timesThen : sharesThen,
    after: isCall ? timesNow : sharesNow,
    perTrace:
      (severity * Math.min(1, Math.max(shareDifference, isCall ? difference : 0)) * runsNow) /
      Math.max(1, faulty.traces),
    normal: undefined,
    faulty: undefined,
    happening: { what: isCall ? calledName(either.what) : either.what, kind: either.kind, run: either.run, key },
    traceIds: now?.traceIds ?? [],
  };
}

function calledName(run: string): string {
  return (JSON.parse(run) as string[]).join(' ');
}

function unexplained(changes: readonly Change[], normal: Profile, faulty: Profile): Change[] {
  if (changes.length === 0) return [];
  const below = callsOf([normal, faulty]);
  const sizes = new Map<string, number>();
  for (const { happening, perTrace } of changes) {
    const run = happening?.run ?? '';
    sizes.set(run, Math.max(sizes.get(run) ?? 0, perTrace));
  }
  const largestBelow = new Map<string, number>();
  for (const run of sizes.keys()) largestBelow.set(run, largest(run, below, sizes, faulty));
  return changes.map((change) => {
    const explained = (largestBelow.get(change.happening?.run ?? '') ?? 0) >= explainingShare * change.perTrace;
    return explained ? { ...change, perTrace: change.perTrace * explainedShare } : change;
  });
}

/** Size of the largest change in another service that a run leads to. */
function largest(
  from: string,
  below: ReadonlyMap<string, ReadonlySet<string>>,
  sizes: ReadonlyMap<string, number>,
  { runs }: Profile,
): number {
  const service = runs.get(from)?.service;
  const seen = new Set([from]);
  let size = 0;
  for (const run of seen) {
    if (runs.get(run)?.service !== service) size = Math.max(size, sizes.get(run) ?? 0);
    for (const called of below.get(run) ?? []) seen.add(called);
  }
  return size;
}

function callsOf(profiles: readonly Profile[]): Map<string, Set<string>> {
  const calls = new Map<string, Set<string>>();
  for (const { happenings } of profiles) {
    for (const { run, called } of happenings.values()) {
      if (called === undefined) continue;
      const known = calls.get(run) ?? new Set();
      calls.set(run, known.add(called));
    }
  }
  return calls;
}
