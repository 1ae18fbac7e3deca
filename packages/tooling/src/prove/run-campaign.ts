import type { Campaign, CampaignRow } from './types.js';

/** How one campaign is run. */
export interface CampaignRun {
  readonly count: number;
  readonly seed: number;
  readonly args?: Readonly<Record<string, string>> | undefined;
  readonly print?: ((text: string) => void) | undefined;
  /** Milliseconds between progress lines. Default 5,000. */
  readonly everyMs?: number | undefined;
}

/** Runs one campaign to its end. A campaign that throws counts as one more failure. */
export async function runCampaign(campaign: Campaign, run: CampaignRun): Promise<CampaignRow> {
  const { count, seed, args = {}, print = console.log, everyMs = 5_000 } = run;
  let done: number | undefined;
  let failed = 0;
  let printedAtMs = performance.now();
  const fail = (what: string): void => {
    failed += 1;
    // The first failures tell; ten thousand lines do not.
    // With the seed: what failed once in thousands must be found again.
    if (failed <= 20) print(`    failed (seed ${seed}): ${what}`);
  };
  const progress = (trials: number): void => {
    done = trials;
    if (performance.now() - printedAtMs < everyMs) return;
    printedAtMs = performance.now();
    print(`    ${trials} of ${count}, ${failed} failed`);
  };
  let completed = true;
  try {
    await campaign.run({ count, random: seededRandom(seed), seed, args, fail, progress });
  } catch (error) {
    completed = false;
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const tried = done ?? (completed ? count : 0);
  const { package: owner, bar, name, goal } = campaign;
  return { package: owner, bar, name, tried, failed, goal, met: completed && failed === 0 && tried > 0 };
}

/** Numbers from 0 to below 1 that follow from a seed (mulberry32: 32-bit state, one multiply-xorshift round per number). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
