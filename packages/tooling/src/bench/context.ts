import { performance } from 'node:perf_hooks';
import type { BenchContext, BenchRow, Measure } from './types.js';

/** Makes the context of one suite; every finished row goes to `record`. */
export function benchContext(
  packageName: string,
  args: Readonly<Record<string, string>>,
  record: (row: BenchRow) => void,
  print: (text: string) => void = console.log,
): BenchContext {
  return {
    args,
    note: (text) => print(`    ${text}`),
    cpuTime,
    async compare({ bar, name, unit, kind, goal, ours, peer, theirs, runs = 5 }) {
      const [oursMedian, theirsMedian] = await medians(ours, theirs, runs);
      const ratio = kind === 'cost' ? ratioOf(theirsMedian, oursMedian) : ratioOf(oursMedian, theirsMedian);
      const row = { package: packageName, bar, name, unit, ours: oursMedian, peer, theirs: theirsMedian, ratio, goal };
      const met = ratio >= goal;
      record({ ...row, met });
      const beside = `${figure(oursMedian)} ${unit} beside ${figure(theirsMedian)} (${peer})`;
      print(`  ${met ? 'met   ' : 'NOT MET'} ${bar} ${name}: ${beside}, ratio ${figure(ratio)}, goal ${goal}`);
    },
    async limit({ bar, name, unit, limit, kind = 'cost', measure, runs = 5 }) {
      const samples: number[] = [];
      for (let run = 0; run < runs; run += 1) samples.push(await measured(measure));
      const ours = median(samples);
      const met = kind === 'cost' ? ours <= limit : ours >= limit;
      record({ package: packageName, bar, name, unit, ours, limit, met });
      print(`  ${met ? 'met   ' : 'NOT MET'} ${bar} ${name}: ${figure(ours)} ${unit}, limit ${limit}`);
    },
  };
}

/** Nothing beside nothing is equal, and something beside nothing is so many times that no goal is above. */
function ratioOf(dividend: number, divisor: number): number {
  if (divisor !== 0) return dividend / divisor;
  return dividend === 0 ? 1 : largestRatio;
}

const largestRatio = 1_000_000;

/** Medians of two measures taken by turns. The order turns each round, so that neither side always runs on a warmer machine. */
async function medians(ours: Measure, theirs: Measure, runs: number): Promise<readonly [number, number]> {
  const oursSamples: number[] = [];
  const theirsSamples: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    if (run % 2 === 0) oursSamples.push(await measured(ours));
    theirsSamples.push(await measured(theirs));
    if (run % 2 === 1) oursSamples.push(await measured(ours));
  }
  return [median(oursSamples), median(theirsSamples)];
}

async function measured(measure: Measure): Promise<number> {
  globalThis.gc?.();
  const value = await measure();
  if (!Number.isFinite(value)) throw new Error(`A measure gave ${value}.`);
  return value;
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('No values.');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** A number with four significant digits, without an exponent where that is readable. */
export function figure(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(3);
  return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(4)));
}

async function cpuTime<T>(run: () => Promise<T> | T): Promise<{ cpuMs: number; wallMs: number; result: T }> {
  const cpuBefore = process.cpuUsage();
  const wallBefore = performance.now();
  const result = await run();
  const wallMs = performance.now() - wallBefore;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { cpuMs: (user + system) / 1000, wallMs, result };
}
