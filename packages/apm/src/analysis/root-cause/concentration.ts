import { type Change, deviationOfMeans, minVariance } from './compare.js';
import { deviationOfShares } from './likelihood.js';
import { type Moments, momentsOf, traceValuesOf } from './moments.js';
import type { Profile } from './profile.js';
import type { Sample } from './recording.js';

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

type Key = 'version' | 'instance';

/** Share of the harm that one version or instance must bear to be named, and share of the blame that must say so. */
const minHarm = 0.5;
const minBlame = 0.5;
/** How much worse one of its calls must be than one of the others at the same time. */
const minOdds = 2.5;
/** Standard errors that it must be away from the others. */
const certainty = 3;
/** Calls of the others below which they are no comparison, as a share of all. */
const fewShare = 0.1;
const minCalls = 3;
/** Share of the calls before, above which one that is alone now has replaced nobody. */
const maxShareBefore = 0.5;

/**
 * Finds out whether changes of one service come from one of its versions, and from one of its instances. One that is well
 * at the same time is the comparison, because both have the same weather; where there is none any more, those before are.
 */
export function concentrationOf(changes: readonly WeightedChange[], normal: Profile, faulty: Profile): Concentration {
  const version = bearer(changes, 'version', normal, faulty);
  const instance = bearer(changes, 'instance', normal, faulty);
  return { ...(version === undefined ? {} : { version }), ...(instance === undefined ? {} : { instance }) };
}

function bearer(changes: readonly WeightedChange[], key: Key, normal: Profile, faulty: Profile): string | undefined {
  // Each change counts as much as it is blamed, so that a small one, of chance perhaps, cannot hide who bears the large one.
  const blame = new Map<string, number>();
  let all = 0;
  for (const { change, weight } of changes) {
    const parts = partsOf(change, key, faulty);
    if (parts.size === 0) continue;
    all += weight;
    const name = worstOf(change, parts, () => callsBefore(change, key, normal));
    if (name !== undefined) blame.set(name, (blame.get(name) ?? 0) + weight);
  }
  for (const [name, weight] of blame) if (weight > minBlame * all) return name;
  return undefined;
}

/** What one version or instance has of a change. */
interface Part {
  calls: number;
  /** Milliseconds over what is usual, or calls with the trouble. */
  harm: number;
  readonly samples: Sample[];
}

function worstOf(
  change: Change,
  parts: ReadonlyMap<string, Part>,
  before: () => ReadonlyMap<string, number>,
): string | undefined {
  const calls = sumOf(parts.values(), (part) => part.calls);
  const harm = sumOf(parts.values(), (part) => Math.max(0, part.harm));
  for (const [name, part] of parts) {
    if (part.harm < minHarm * harm || part.harm <= 0) continue;
    const others = [...parts].filter(([other]) => other !== name).map(([, other]) => other);
    const otherCalls = sumOf(others, (other) => other.calls);
    const otherHarm = Math.max(
      0,
      sumOf(others, (other) => other.harm),
    );
    const hasOthers = otherCalls >= minCalls;
    if (hasOthers && part.harm / part.calls < minOdds * (otherHarm / otherCalls)) continue;
    if (otherCalls < Math.max(minCalls, fewShare * calls) && hasReplaced(name, before())) return name;
    if (!hasOthers) continue;
    if (isApart(change, part, others)) return name;
  }
  return undefined;
}

function hasReplaced(name: string, before: ReadonlyMap<string, number>): boolean {
  const all = sumOf(before.values(), (calls) => calls);
  return all > 0 && (before.get(name) ?? 0) < maxShareBefore * all;
}

/** Whether chance does not explain that one is worse than the others. */
function isApart(change: Change, part: Part, others: readonly Part[]): boolean {
  if (isTime(change)) {
    const inOrder = others.flatMap(({ samples }) => samples).sort((a, b) => a.trace - b.trace);
    const [theirs, own] = [momentsOf(traceValuesOf(inOrder)), momentsOf(traceValuesOf(part.samples))];
    return own.traces >= minCalls && deviationOfMeans(theirs, own, usualOf(theirs, own)) >= certainty;
  }
  const calls = sumOf(others, (other) => other.calls);
  const harm = sumOf(others, (other) => other.harm);
  return deviationOfShares(harm, calls, part.harm, part.calls) >= certainty;
}

function usualOf(theirs: Moments, own: Moments): number {
  const pooled = (theirs.variance * theirs.traces + own.variance * own.traces) / (theirs.traces + own.traces);
  return Math.max(minVariance, pooled);
}

/** Whether it is about how long something takes, not about how often something happens. */
function isTime({ signal, then = [] }: Change): boolean {
  return (signal === 'self-time' || signal === 'edge-gap') && then.length > 0;
}

function partsOf(change: Change, key: Key, faulty: Profile): Map<string, Part> {
  const { happening, now, then = [], service } = change;
  const parts = new Map<string, Part>();
  const add = (name: string | undefined, calls: number, harm: number, sample?: Sample): void => {
    if (name === undefined) return;
    let part = parts.get(name);
    if (part === undefined) {
      part = { calls: 0, harm: 0, samples: [] };
      parts.set(name, part);
    }
    part.calls += calls;
    part.harm += harm;
    if (sample !== undefined) part.samples.push(sample);
  };
  if (happening !== undefined) {
    const isMore = change.after > change.before;
    const { origins, counts } = happening.run;
    faulty.eachRun(happening, (run, has) => {
      const count = counts[run] ?? 1;
      add(origins[run]?.[key], count, has === isMore ? count : 0);
    });
    return parts;
  }
  if (now === undefined) return parts;
  if (isTime(change)) {
    const usualMs = sumOf(then, ({ ms, count }) => ms * count) / sumOf(then, ({ count }) => count);
    for (const sample of now) add(sample.by?.[key], sample.count, (sample.ms - usualMs) * sample.count, sample);
    return parts;
  }
  const isNew = change.signal !== 'errors';
  for (const sample of now) {
    const isBad = isNew || sample.failed;
    add(sample.by?.[key], isNew ? 0 : sample.count, isBad ? sample.count : 0);
  }
  // Work that is new: the versions that do not do it had none of the harm, however much they did.
  if (isNew) for (const [name, calls] of faulty.originsOf(service, key)) add(name, calls, 0);
  return parts;
}

function callsBefore({ happening, then = [], service }: Change, key: Key, normal: Profile): Map<string, number> {
  if (happening === undefined && then.length === 0) return normal.originsOf(service, key);
  const calls = new Map<string, number>();
  const add = (name: string | undefined, count: number): void => {
    if (name !== undefined) calls.set(name, (calls.get(name) ?? 0) + count);
  };
  if (happening === undefined) for (const { by, count } of then) add(by?.[key], count);
  else normal.eachRun(happening, (run) => add(happening.run.origins[run]?.[key], happening.run.counts[run] ?? 1));
  return calls;
}

function sumOf<T>(some: Iterable<T>, amount: (one: T) => number): number {
  let sum = 0;
  for (const one of some) sum += amount(one);
  return sum;
}
