import { mean } from 'simple-statistics';
import type { Change } from './compare.js';
import type { Profile } from './profile.js';

/** Share of the harm that one version or instance must bear to be named. */
const minShare = 0.7;
/** How much more than its share of the traffic that must be. */
const minLift = 1.4;

/** The version or instance that bears the changes, if one does. */
export interface Concentration {
  readonly version?: string | undefined;
  readonly instance?: string | undefined;
}

/** A change with its part in the blame of a service. */
export interface WeightedChange {
  readonly change: Change;
  readonly weight: number;
}

/** Finds out whether changes of one service come from one of its versions, and from one of its instances. */
export function concentrationOf(changes: readonly WeightedChange[], normal: Profile, faulty: Profile): Concentration {
  const version = bearer(changes, 'version', normal, faulty);
  const instance = bearer(changes, 'instance', normal, faulty);
  return { ...(version === undefined ? {} : { version }), ...(instance === undefined ? {} : { instance }) };
}

function bearer(
  changes: readonly WeightedChange[],
  key: 'version' | 'instance',
  normalProfile: Profile,
  faultyProfile: Profile,
): string | undefined {
  const harm = new Map<string, number>();
  const calls = new Map<string, number>();
  const before = new Set<string>();
  // Each change counts as much as it is blamed, so that a small one, of chance perhaps, cannot hide who bears the large one.
  for (const { change, weight } of changes) {
    if (change.now === undefined) continue;
    for (const sample of change.then ?? []) if (sample[key] !== undefined) before.add(sample[key]);
    if (isNew(change)) {
      for (const name of normalProfile.originsOf(change.service, key).keys()) before.add(name);
    }
    addShares(harm, harmOf(change, key), weight);
    addShares(calls, callsOf(change, key, faultyProfile), weight);
  }
  const names = new Set([...harm.keys(), ...before]);
  if (names.size < 2) return undefined;
  const allHarm = [...harm.values()].reduce((sum, value) => sum + Math.max(0, value), 0);
  const allCalls = [...calls.values()].reduce((sum, value) => sum + value, 0);
  for (const [name, value] of harm) {
    const share = Math.max(0, value) / Math.max(allHarm, 1e-9);
    const lift = share / ((calls.get(name) ?? 0) / allCalls);
    // A version that was not there before, and alone now, bears everything without any lift.
    const replaced = !before.has(name) && before.size > 0 && calls.size === 1;
    if (share >= minShare && (lift >= minLift || replaced)) return name;
  }
  return undefined;
}

/** Adds what each name has of a whole. */
function addShares(sums: Map<string, number>, parts: ReadonlyMap<string, number>, weight: number): void {
  const whole = [...parts.values()].reduce((sum, value) => sum + value, 0);
  for (const [name, value] of parts) sums.set(name, (sums.get(name) ?? 0) + (weight * value) / Math.max(whole, 1e-9));
}

/** Failures, or milliseconds over the usual, by name. */
function harmOf({ signal, then = [], now = [] }: Change, key: 'version' | 'instance'): ReadonlyMap<string, number> {
  const usualMs = then.length === 0 ? 0 : mean(then.map(({ ms }) => ms));
  const harm = new Map<string, number>();
  for (const sample of now) {
    const name = sample[key];
    if (name === undefined) continue;
    const own = signal === 'errors' ? Number(sample.failed) : sample.ms - usualMs;
    harm.set(name, (harm.get(name) ?? 0) + own);
  }
  return harm;
}

/** Calls by name; for work that is new, all that the service did: the versions without it had none of the harm. */
function callsOf(change: Change, key: 'version' | 'instance', profile: Profile): ReadonlyMap<string, number> {
  if (isNew(change)) return profile.originsOf(change.service, key);
  const calls = new Map<string, number>();
  for (const sample of change.now ?? []) {
    const name = sample[key];
    if (name !== undefined) calls.set(name, (calls.get(name) ?? 0) + 1);
  }
  return calls;
}

function isNew({ then = [] }: Change): boolean {
  return then.length === 0;
}
