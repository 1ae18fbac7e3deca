import { mean } from 'simple-statistics';
import type { Change } from './compare.js';
import type { Profile, Sample } from './profile.js';

/** Share of the harm that one version or instance must bear to be named. */
const minShare = 0.7;
/** How much more than its share of the traffic that must be. */
const minLift = 1.4;

/** The version or instance that bears the changes, if one does. */
export interface Concentration {
  readonly version?: string | undefined;
  readonly instance?: string | undefined;
}

/** Finds out whether changes of one service come from one of its versions, and from one of its instances. */
export function concentrationOf(changes: readonly Change[], normal: Profile, faulty: Profile): Concentration {
  const version = bearer(changes, 'version', normal, faulty);
  const instance = bearer(changes, 'instance', normal, faulty);
  return { ...(version === undefined ? {} : { version }), ...(instance === undefined ? {} : { instance }) };
}

function bearer(
  changes: readonly Change[],
  key: 'version' | 'instance',
  normalProfile: Profile,
  faultyProfile: Profile,
): string | undefined {
  const harm = new Map<string, number>();
  const calls = new Map<string, number>();
  const before = new Set<string>();
  for (const { signal, service, normal, faulty } of changes) {
    if (faulty === undefined) continue;
    if (normal === undefined) {
      // Work that is new is compared with all that the service did: the versions without it had none of the harm.
      for (const name of normalProfile.origins.get(service)?.[key].keys() ?? []) before.add(name);
      for (const [name, count] of faultyProfile.origins.get(service)?.[key] ?? [])
        calls.set(name, (calls.get(name) ?? 0) + count);
    }
    for (const sample of normal?.samples ?? []) if (sample[key] !== undefined) before.add(sample[key]);
    const usualMs = normal === undefined || normal.samples.length === 0 ? 0 : mean(normal.samples.map(({ ms }) => ms));
    // Each change counts the same, however its harm is measured.
    const total = faulty.samples.reduce((sum, sample) => sum + harmOf(sample, signal, usualMs), 0);
    for (const sample of faulty.samples) {
      const name = sample[key];
      if (name === undefined) continue;
      harm.set(name, (harm.get(name) ?? 0) + harmOf(sample, signal, usualMs) / Math.max(total, 1e-9));
      if (normal !== undefined) calls.set(name, (calls.get(name) ?? 0) + 1);
    }
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

function harmOf(sample: Sample, signal: Change['signal'], usualMs: number): number {
  return signal === 'errors' ? Number(sample.failed) : sample.ms - usualMs;
}
