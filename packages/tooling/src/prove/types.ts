import type { PartId } from '../parts/index.js';

/** One campaign's count. */
export interface CampaignRow {
  readonly package: string;
  readonly bar: string;
  readonly name: string;
  readonly tried: number;
  readonly failed: number;
  readonly goal: string;
  readonly met: boolean;
}

/** What a campaign works with. */
export interface CampaignContext {
  /** How many trials to make. */
  readonly count: number;
  /** A number from 0 to below 1, from `seed`: the same seed gives the same trials. */
  readonly random: () => number;
  readonly seed: number;
  /** Options from the command line. */
  readonly args: Readonly<Record<string, string>>;
  /** Counts one trial as failed and prints why. */
  fail(what: string): void;
  /** Says how many trials are done. */
  progress(done: number): void;
}

/** What is tried many times, and what is wanted of it. */
export interface Campaign {
  readonly package: string;
  /** The file's name before `.prove.ts`. */
  readonly suite: string;
  /** Id of the bar. */
  readonly bar: string;
  readonly name: string;
  /** What is wanted, in words, such as `0 lost of 500 kills`. */
  readonly goal: string;
  /** Trials without `--n`. */
  readonly defaultCount: number;
  /** Trials in `npm test`. Default: a fiftieth of `defaultCount`, at least 1. */
  readonly shortCount?: number | undefined;
  /** Parts that it works with. Where one is absent it is passed over with a message; where `MNOPS_REQUIRE_PARTS` names it, it fails. */
  readonly needs?: readonly PartId[] | undefined;
  run(context: CampaignContext): Promise<void>;
}
