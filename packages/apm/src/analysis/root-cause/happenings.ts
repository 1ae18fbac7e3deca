import type { Change } from './compare.js';
import { certaintyOf, deviationOfShares } from './likelihood.js';
import { momentLength } from './moments.js';
import type { Profile } from './profile.js';
import type { Happening, Run } from './recording.js';

/** Traces on either side with a run of the operation, below which what happens in it says nothing. */
const minTraces = 5;
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
export function changedHappenings(normal: Profile, faulty: Profile, lenience = 1): Change[] {
  const compared: Happening[] = [];
  for (const run of faulty.recording.runs.all) {
    if (run.happenings.size === 0) continue;
    if (normal.countOf(run).traces < minTraces || faulty.countOf(run).traces < minTraces) continue;
    for (const happening of run.happenings.values()) {
      // Lines without a run of their own depend on what else the service does: only bad ones say something.
      if (!run.isLoose || happening.template.severity > 0) compared.push(happening);
    }
  }
  const certainty = lenience * certaintyOf(compared.length);
  const changes = compared.flatMap((happening) => changeOf(happening, normal, faulty, certainty) ?? []);
  return unexplained(changes);
}

function changeOf(happening: Happening, normal: Profile, faulty: Profile, certainty: number): Change | undefined {
  const { run, kind, template } = happening;
  const [then, now] = [normal.happeningOf(happening), faulty.happeningOf(happening)];
  const isCall = kind === 'call';
  const difference = Math.abs(now.times - then.times);
  const shareDifference = Math.abs(now.share - then.share);
  const isMuch = shareDifference >= minShare || (isCall && difference >= minTimes);
  // Fewer errors are no trouble.
  if (!isMuch || (template.severity === 2 && now.share < then.share)) return undefined;
  const clumps = Math.max(clumping(happening, normal, then.share), clumping(happening, faulty, now.share));
  const [independentThen, independentNow] = [normal, faulty].map(
    (window) => window.countOf(run).independent / clumps,
  ) as [number, number];
  // As uneven as calls are in either window: by chance alone, their variance is their mean.
  const variance = Math.max(then.times, now.times, then.variance, now.variance);
  const error = Math.sqrt(variance * (1 / independentThen + 1 / independentNow));
  const byTimes = isCall && difference >= minTimes && difference >= certainty * error;
  const deviation = deviationOfShares(
    then.share * independentThen,
    independentThen,
    now.share * independentNow,
    independentNow,
  );
  const byShare = shareDifference >= minShare && deviation >= certainty;
  if (!byTimes && !byShare) return undefined;
  const severity = now.share > then.share ? (severityWeights[template.severity] ?? 1) : 1;
  const size = Math.min(1, Math.max(shareDifference, isCall ? difference : 0));
  return {
    signal: isCall ? 'structure' : 'log',
    service: run.service,
    operation: run.operation,
    caller: undefined,
    before: isCall ? then.times : then.share,
    after: isCall ? now.times : now.share,
    perTrace: (severity * size * faulty.countOf(run).weight) / Math.max(1, faulty.weight),
    happening,
    traceIds: faulty.tracesOf(happening),
  };
}

/**
 * How many runs say no more than one does, because runs of one moment are alike: requests of one client, or of one kind.
 * At least 1, which is what it is where each run goes its own way.
 */
function clumping(happening: Happening, window: Profile, share: number): number {
  const { at } = happening.run;
  const { from, to } = window.runsOf(happening.run);
  if (share <= 0 || share >= 1 || to - from < 2) return 1;
  const longMs = momentLength(at[from] ?? 0, at[to - 1] ?? 0);
  let [together, alone, inMoment, untilMs] = [0, 0, 0, Number.NEGATIVE_INFINITY];
  window.eachRun(happening, (run, has) => {
    const away = Number(has) - share;
    if ((at[run] ?? 0) > untilMs) {
      together += inMoment * inMoment;
      inMoment = 0;
      untilMs = (at[run] ?? 0) + longMs;
    }
    inMoment += away;
    alone += away * away;
  });
  together += inMoment * inMoment;
  return Math.max(1, together / alone);
}

function unexplained(changes: readonly Change[]): Change[] {
  const sizes = new Map<Run, number>();
  for (const { happening, perTrace } of changes) {
    if (happening !== undefined) sizes.set(happening.run, Math.max(sizes.get(happening.run) ?? 0, perTrace));
  }
  const largestBelow = new Map<Run, number>();
  for (const run of sizes.keys()) largestBelow.set(run, largest(run, sizes));
  return changes.map((change) => {
    const below = change.happening === undefined ? 0 : (largestBelow.get(change.happening.run) ?? 0);
    return below >= explainingShare * change.perTrace
      ? { ...change, perTrace: change.perTrace * explainedShare }
      : change;
  });
}

/** Size of the largest change in another service that a run leads to. */
function largest(from: Run, sizes: ReadonlyMap<Run, number>): number {
  const seen = new Set([from]);
  let size = 0;
  for (const run of seen) {
    if (run.service !== from.service) size = Math.max(size, sizes.get(run) ?? 0);
    for (const { called } of run.happenings.values()) if (called !== undefined) seen.add(called);
  }
  return size;
}
