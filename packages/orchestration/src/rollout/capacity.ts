import type { RevisionObservation, ServiceObservation } from '@mnops/core/spi';

/** How many instances a change may add and take away meanwhile. */
export interface CapacityRules {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly minReadyMs: number;
}

/** What has to be done next on the way from other revisions to one. */
export interface CapacityStep {
  /** Wanted instances by revision, only where they change. The new revision comes first. */
  readonly set: readonly (readonly [revision: string, replicas: number])[];
  readonly done: boolean;
  /** When a ready instance begins to count, epoch milliseconds; nothing else may wake the engine then. */
  readonly nextMs: number | undefined;
}

/**
 * The next step of replacing every other revision by `to`: as many new instances as the surge allows, and so many old ones
 * away that those available stay at least `replicas - maxUnavailable`. Old ones that are not ready go first, for free.
 */
export function nextCapacityStep(
  observation: ServiceObservation,
  to: string,
  rules: CapacityRules,
  nowMs: number,
): CapacityStep {
  const { replicas, maxSurge, maxUnavailable, minReadyMs } = rules;
  const target = observation.revisions.find(({ revision }) => revision === to);
  const olds = observation.revisions.filter(({ revision }) => revision !== to);
  const oldDesired = sum(olds, ({ desired }) => desired);
  const set: [string, number][] = [];

  const wanted = Math.max(target?.desired ?? 0, Math.min(replicas, replicas + maxSurge - oldDesired));
  const desired = Math.min(wanted, replicas);
  if (desired !== (target?.desired ?? 0)) set.push([to, desired]);

  const ready = readyInstances(target);
  const available = ready.filter((sinceMs) => nowMs - sinceMs >= minReadyMs).length;
  const waiting = ready.filter((sinceMs) => nowMs - sinceMs < minReadyMs);
  const oldReady = sum(olds, ({ ready: count, desired: limit }) => Math.min(count, limit));
  let removable = available + oldReady - (replicas - maxUnavailable);
  for (const old of olds) {
    if (old.desired === 0) continue;
    const unready = Math.max(0, old.desired - old.ready);
    const remove = Math.min(old.desired, unready + Math.max(0, removable));
    if (remove <= 0) continue;
    removable -= Math.max(0, remove - unready);
    set.push([old.revision, old.desired - remove]);
  }
  const gone = olds.every((old) => old.desired === 0 && old.instances.length === 0);
  const settled = (target?.instances.length ?? 0) === replicas;
  return {
    set,
    done: set.length === 0 && available >= replicas && gone && settled,
    nextMs: waiting.length === 0 ? undefined : Math.min(...waiting) + minReadyMs,
  };
}

function readyInstances(revision: RevisionObservation | undefined): readonly number[] {
  return (revision?.instances ?? []).flatMap(({ state, readySinceMs }) =>
    state === 'ready' && readySinceMs !== undefined ? [readySinceMs] : [],
  );
}

function sum(revisions: readonly RevisionObservation[], count: (revision: RevisionObservation) => number): number {
  return revisions.reduce((total, revision) => total + count(revision), 0);
}
