/** One series with what a detector said of it. */
export interface ScoredSeries {
  /** One score per row. */
  readonly scores: ArrayLike<number>;
  /** First and last row of each labelled window, in order. */
  readonly windows: readonly (readonly [number, number])[];
}

/** What hits, misses and false alarms are worth. */
export interface NabProfile {
  readonly tpWeight: number;
  readonly fnWeight: number;
  readonly fpWeight: number;
}

/** The best result that any one threshold reaches. */
export interface NabResult {
  /** 100 is perfect, 0 is a detector that never says anything. */
  readonly score: number;
  readonly threshold: number;
}

/** Weights of the benchmark's three profiles. */
export const nabProfiles: Readonly<Record<'standard' | 'lowFP' | 'lowFN', NabProfile>> = {
  standard: { tpWeight: 1, fnWeight: 1, fpWeight: 0.11 },
  lowFP: { tpWeight: 1, fnWeight: 1, fpWeight: 0.22 },
  lowFN: { tpWeight: 1, fnWeight: 2, fpWeight: 0.11 },
};

/** A threshold above every score: nothing is detected. */
const silent = 1.1;

/** Rows at the start of a series that count for nothing. */
export function probationRows(rows: number): number {
  return Math.min(Math.floor(0.15 * rows), 750);
}

/** Scaled sigmoid of a distance in window widths: early in a window is worth most, long after one is a full false alarm. */
function sigmoid(distance: number): number {
  return distance > 3 ? -1 : 2 / (1 + Math.exp(5 * distance)) - 1;
}

interface Rows {
  readonly score: Float64Array;
  /** Worth of a detection at tpWeight = fpWeight = 1. */
  readonly worth: Float64Array;
  /** Number of the window that the row lies in, -1 outside. */
  readonly window: Int32Array;
  readonly windows: number;
}

/** The scored rows of all series, highest score first. */
function rowsOf(all: readonly ScoredSeries[]): Rows {
  const flat: { score: number; worth: number; window: number }[] = [];
  let windows = 0;
  for (const series of all) {
    const rows = series.scores.length;
    const first = probationRows(rows);
    const counted = series.windows.filter(([, last]) => last >= first);
    let next = 0;
    for (let row = first; row < rows; row += 1) {
      while (next < counted.length && row > (counted[next] as readonly [number, number])[1]) next += 1;
      const score = series.scores[row] as number;
      const current = counted[next];
      if (current !== undefined && row >= current[0]) {
        const width = current[1] - current[0] + 1;
        const worth = sigmoid(-(current[1] - row + 1) / width) / sigmoid(-1);
        flat.push({ score, worth, window: windows + next });
      } else {
        const previous = series.windows.findLast(([, last]) => last < row);
        const worth = previous === undefined ? -1 : sigmoid((row - previous[1]) / (previous[1] - previous[0]));
        flat.push({ score, worth, window: -1 });
      }
    }
    windows += counted.length;
  }
  flat.sort((a, b) => b.score - a.score);
  return {
    score: Float64Array.from(flat, ({ score }) => score),
    worth: Float64Array.from(flat, ({ worth }) => worth),
    window: Int32Array.from(flat, ({ window }) => window),
    windows,
  };
}

/** Points of every threshold in falling order; `visit` hears of each. */
function sweep(rows: Rows, profile: NabProfile, visit: (threshold: number, score: number) => void): void {
  const { tpWeight, fnWeight, fpWeight } = profile;
  const best = new Float64Array(rows.windows).fill(-fnWeight);
  const nothing = -fnWeight * rows.windows;
  let points = nothing;
  const scaled = (): number =>
    rows.windows === 0 ? points : (100 * (points - nothing)) / (tpWeight * rows.windows - nothing);
  visit(silent, scaled());
  for (let i = 0; i < rows.score.length; i += 1) {
    const window = rows.window[i] as number;
    const worth = rows.worth[i] as number;
    if (window < 0) {
      points += worth * fpWeight;
    } else {
      const gain = Math.max(0, worth * tpWeight - (best[window] as number));
      points += gain;
      best[window] = (best[window] as number) + gain;
    }
    if (rows.score[i] !== rows.score[i + 1]) visit(rows.score[i] as number, scaled());
  }
}

/** The score of the Numenta Anomaly Benchmark at the threshold that serves the series best together. */
export function nabScore(all: readonly ScoredSeries[], profile: NabProfile): NabResult {
  let result: NabResult = { score: Number.NEGATIVE_INFINITY, threshold: silent };
  sweep(rowsOf(all), profile, (threshold, score) => {
    if (score > result.score) result = { score, threshold };
  });
  return result;
}

/** The score at a threshold that was fixed before. */
export function nabScoreAt(all: readonly ScoredSeries[], profile: NabProfile, fixed: number): number {
  let result = 0;
  sweep(rowsOf(all), profile, (threshold, score) => {
    if (threshold >= fixed) result = score;
  });
  return result;
}
