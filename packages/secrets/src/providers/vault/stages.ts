import type { Claim, SecretFacts, VersionFacts } from './facts.js';

/** Versions behind the pointers that are looked at one by one; Vault keeps fewer unless it is told otherwise. */
const replayed = 1_024;

/**
 * Which version each stage points at. Pointers are written only when a stage is moved by itself; a version that came
 * later moves stages as it says itself, and one that another tool wrote becomes current. So a new version and its stage
 * appear in one step, and no writer overwrites what another one wrote.
 *
 * @param latest - The newest version's number.
 */
export function stagesAt(facts: SecretFacts, latest: number): Map<string, number> {
  const { seen, stages } = facts.pointers;
  const resolved = new Map<string, number>();
  for (const [stage, version] of Object.entries(stages)) if (version > facts.gone) resolved.set(stage, version);
  for (let version = Math.max(seen, facts.gone, latest - replayed) + 1; version <= latest; version += 1) {
    for (const stage of factsAt(facts, version).s ?? ['current']) moveStage(resolved, stage, version);
  }
  return resolved;
}

/** Moves a stage; `current` leaves `previous` behind. */
export function moveStage(stages: Map<string, number>, stage: string, version: number): void {
  const before = stages.get(stage);
  if (before === version) return;
  if (stage === 'current' && before !== undefined) stages.set('previous', before);
  stages.set(stage, version);
}

/** Stages of one version, sorted. */
export function stagesOn(stages: ReadonlyMap<string, number>, version: number): string[] {
  return [...stages].flatMap(([stage, at]) => (at === version ? [stage] : [])).sort();
}

/**
 * Facts of a version. One that was written a moment ago has only the claim of its writer; where several claim it, all but
 * one have lost, and the most careful reading holds: the earliest expiry, and not current unless all say so.
 */
export function factsAt(facts: SecretFacts, version: number): VersionFacts {
  const own = facts.versions.get(version);
  if (own !== undefined) return own;
  const claims = [...facts.claims.values()].filter(({ v }) => v === version);
  const [first] = claims;
  if (first === undefined) return {};
  const careful = claims.find(({ s }) => s !== undefined && !s.includes('current')) ?? first;
  const expiries = claims.flatMap(({ e }: Claim) => (e === undefined ? [] : [e]));
  const { t, o, s } = careful;
  return { t, o, s, e: expiries.length === 0 ? undefined : Math.min(...expiries) };
}
