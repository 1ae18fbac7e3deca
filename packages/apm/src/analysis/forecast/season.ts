/** Values that a season is looked for in; the newest count. */
const maxValues = 4_096;
/** Values averaged into one, from fine to coarse: noise hides a long season from the fine view. */
const blocks = [1, 4, 16] as const;
/** Values that are left at least after averaging. */
const leastBlocks = 64;
/** Correlation of a series with itself one season later, and rise of it from the low before, below which it has none. */
const leastCorrelation = 0.25;
const leastRise = 0.25;
/** Times that a correlation must be what chance alone makes of it. */
const chance = 4;
/** A shorter season is taken when it explains nearly as much: this share of the best. */
const nearlyBest = 0.9;

interface Peak {
  readonly lag: number;
  readonly correlation: number;
}

/**
 * Length of the season of a series, in values: the lag at which it is most like itself.
 *
 * @returns `undefined` when no lag that fits twice into the series stands out.
 */
export function findSeason(values: readonly number[]): number | undefined {
  const series = values.slice(-maxValues);
  let best: Peak | undefined;
  for (const block of blocks) {
    const coarse = averaged(series, block);
    if (block > 1 && coarse.length < leastBlocks) break;
    const peak = bestPeak(correlationsOf(coarse));
    if (peak === undefined || (best !== undefined && peak.correlation * nearlyBest <= best.correlation)) continue;
    best = { lag: peak.lag * block, correlation: peak.correlation };
    if (block > 1) best = { ...best, lag: refined(series, best.lag, block) };
  }
  return best?.lag;
}

function averaged(series: readonly number[], block: number): Float64Array {
  return Float64Array.from({ length: Math.floor(series.length / block) }, (_, index) => {
    let sum = 0;
    for (let i = index * block; i < (index + 1) * block; i += 1) sum += series[i] as number;
    return sum / block;
  });
}

/** Correlation of a series with itself at every lag up to half of its length; empty when it is flat. */
function correlationsOf(series: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(series);
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, count);
  for (let i = 0; i < count; i += 1) values[i] = (values[i] as number) - mean;
  const power = values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, count);
  if (count < 8 || power === 0 || power <= 1e-12 * mean * mean) return new Float64Array();
  const correlations = new Float64Array((count >> 1) + 1);
  for (let lag = 0; lag < correlations.length; lag += 1) {
    let sum = 0;
    for (let i = lag; i < count; i += 1) sum += (values[i] as number) * (values[i - lag] as number);
    correlations[lag] = sum / (count - lag) / power;
  }
  return correlations;
}

function bestPeak(correlations: Float64Array): Peak | undefined {
  const peaks: Peak[] = [];
  const pairs = 2 * correlations.length;
  let lowest = 1;
  for (let lag = 1; lag < correlations.length; lag += 1) {
    const correlation = correlations[lag] as number;
    lowest = Math.min(lowest, correlation);
    // By chance alone a correlation of n values is about the root of 1/n.
    const least = Math.max(leastCorrelation, chance / Math.sqrt(pairs - lag));
    if (correlation < least || correlation - lowest < leastRise) continue;
    const around = Math.max(1, Math.floor(lag / 4));
    if (correlation === Math.max(...correlations.subarray(lag - around, lag + around + 1)))
      peaks.push({ lag, correlation });
  }
  const best = Math.max(...peaks.map(({ correlation }) => correlation));
  return peaks.find(({ correlation }) => correlation >= nearlyBest * best);
}

/** The exact lag near a coarse one. */
function refined(series: readonly number[], lag: number, block: number): number {
  const correlations = correlationsOf(series);
  let best = lag;
  for (let near = Math.max(1, lag - block); near <= Math.min(lag + block, correlations.length - 1); near += 1) {
    if ((correlations[near] as number) > (correlations[best] ?? -1)) best = near;
  }
  return best;
}
