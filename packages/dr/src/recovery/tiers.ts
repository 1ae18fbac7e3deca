/** How urgent a service is: 1 is the most urgent. */
export type RecoveryTier = 1 | 2 | 3 | 4;

/** What a recovery has to reach; a figure that was not set is not judged. */
export interface RecoveryObjective {
  readonly tier?: RecoveryTier | undefined;
  /** Longest time from the outage to the first good answer, milliseconds. */
  readonly rtoMs?: number | undefined;
  /** Longest stretch of writes that may be lost, milliseconds. */
  readonly rpoMs?: number | undefined;
}

const minuteMs = 60_000;
const hourMs = 3_600_000;

/** The objectives of each tier. */
export const tiers: Readonly<Record<RecoveryTier, { readonly rtoMs: number; readonly rpoMs: number }>> = {
  1: { rtoMs: 15 * minuteMs, rpoMs: 5 * minuteMs },
  2: { rtoMs: hourMs, rpoMs: 15 * minuteMs },
  3: { rtoMs: 4 * hourMs, rpoMs: hourMs },
  4: { rtoMs: 24 * hourMs, rpoMs: 4 * hourMs },
};

/** The objective of a configuration: figures of its own win over those of its tier. */
export function objectiveOf({ tier, rtoMs, rpoMs }: RecoveryObjective): RecoveryObjective {
  const ofTier = tier === undefined ? undefined : tiers[tier];
  return { tier, rtoMs: rtoMs ?? ofTier?.rtoMs, rpoMs: rpoMs ?? ofTier?.rpoMs };
}

/** Whether measured figures meet the objective; `undefined` when there is none. */
export function meets(objective: RecoveryObjective, rtoMs: number | undefined, rpoMs: number): boolean | undefined {
  if (objective.rtoMs === undefined && objective.rpoMs === undefined) return undefined;
  const inTime = objective.rtoMs === undefined || (rtoMs !== undefined && rtoMs <= objective.rtoMs);
  return inTime && (objective.rpoMs === undefined || rpoMs <= objective.rpoMs);
}
