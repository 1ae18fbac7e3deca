/** One figure beside a peer's. `ratio` says how many times better ours is, 1,000,000 beside nothing; `goal` is the least ratio wanted. */
export interface ComparisonRow {
  readonly package: string;
  readonly bar: string;
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: string;
  readonly theirs: number;
  readonly ratio: number;
  readonly goal: number;
  readonly met: boolean;
}

/** One figure held to a limit in its own unit. */
export interface LimitRow {
  readonly package: string;
  readonly bar: string;
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly limit: number;
  readonly met: boolean;
}

export type BenchRow = ComparisonRow | LimitRow;

/** Gives one measured figure. */
export type Measure = () => Promise<number> | number;

/** A figure to be compared with a peer's. */
export interface Comparison {
  /** Id of the bar, such as `S3`. */
  readonly bar: string;
  readonly name: string;
  readonly unit: string;
  /** `cost`: less is better. `throughput`: more is better. */
  readonly kind: 'cost' | 'throughput';
  /** Least ratio wanted. */
  readonly goal: number;
  readonly ours: Measure;
  /** Name and version of the peer. */
  readonly peer: string;
  readonly theirs: Measure;
  /** Rounds; each measures both sides, in turning order. Default 5. */
  readonly runs?: number | undefined;
}

/** A figure to be held to a limit. */
export interface Limit {
  readonly bar: string;
  readonly name: string;
  readonly unit: string;
  readonly limit: number;
  /** `cost` (default): at most the limit. `throughput`: at least the limit. */
  readonly kind?: 'cost' | 'throughput' | undefined;
  readonly measure: Measure;
  /** Default 5. */
  readonly runs?: number | undefined;
}

/** What a bench suite works with. */
export interface BenchContext {
  /** Measures both sides by turns and records the medians. */
  compare(comparison: Comparison): Promise<void>;
  /** Measures and records the median. */
  limit(limit: Limit): Promise<void>;
  /** Options from the command line: `--size 100` is `args.size === '100'`. */
  readonly args: Readonly<Record<string, string>>;
  /** Runs work and says what processor time and what wall time it took. */
  cpuTime<T>(run: () => Promise<T> | T): Promise<{ cpuMs: number; wallMs: number; result: T }>;
  /** Prints a remark. */
  note(text: string): void;
}

/** The default export of a `*.bench.ts` file. */
export interface BenchSuite {
  readonly package: string;
  /** The file's name before `.bench.ts`. */
  readonly suite: string;
  run(context: BenchContext): Promise<void>;
}
