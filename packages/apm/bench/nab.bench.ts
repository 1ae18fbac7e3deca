import { createDetector } from '@mnops/apm/analysis';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { nabBaselines, type SeriesScorer } from '../src/testing/nab-baselines.js';
import { isNab, type NabSeries, readNab } from '../src/testing/nab-data.js';
import { nabProfiles, nabScore, nabScoreAt, type ScoredSeries } from '../src/testing/nab-scorer.js';
import { publicSet } from './public-set.js';

/** Scores that others published, on the same 31 files, from their published results; and on all 58. */
const published = {
  31: { ARTime: [78.15, 70.44, 83.1], 'CAD OSE': [74.05, 71.66, 76.85], 'Numenta HTM': [71.21, 64.99, 75.87] },
  58: { ARTime: [74.9, 65.1, 80.4], 'CAD OSE': [69.9, 67.0, 73.2], 'Numenta HTM': [70.1, 63.1, 74.3] },
} as const;
/** Standard, low FP, low FN: better than each of the published detectors. */
const bars = { 31: [74.1, 71.7, 76.9], 58: [70.5, 67.0, 75.2] } as const;

const profiles = Object.entries(nabProfiles);

function scoredBy(series: readonly NabSeries[], make: () => SeriesScorer): readonly ScoredSeries[] {
  return series.map(({ values, timesMs, windows }) => {
    const score = make();
    return { windows, scores: values.map((value, row) => score(value, timesMs[row] as number)) };
  });
}

const ours = (): SeriesScorer => {
  const detector = createDetector();
  return (value, atMs) => detector.next(value, atMs);
};

function line(name: string, figures: readonly number[]): string {
  return `${name.padEnd(34)}${figures.map((score) => score.toFixed(2).padStart(10)).join('')}`;
}

/** Windows found and false alarms of every file at one threshold. */
function fileTable(
  series: readonly NabSeries[],
  scored: readonly ScoredSeries[],
  threshold: number,
): readonly string[] {
  return series.map(({ name, windows, values }, index) => {
    const { scores } = scored[index] as ScoredSeries;
    const first = Math.min(Math.floor(0.15 * values.length), 750);
    const alarms = [...values.keys()].filter((row) => row >= first && (scores[row] as number) >= threshold);
    const inside = (row: number, [from, to]: readonly [number, number]): boolean => row >= from && row <= to;
    const found = windows.filter((window) => alarms.some((row) => inside(row, window))).length;
    const outside = alarms.filter((row) => !windows.some((window) => inside(row, window))).length;
    return `${name.padEnd(60)} windows ${found} of ${windows.length}, false alarms ${outside}`;
  });
}

async function costs(context: BenchContext, series: readonly NabSeries[]): Promise<void> {
  const points = series.reduce((sum, { values }) => sum + values.length, 0);
  await context.limit({
    bar: 'A10',
    name: 'adaptive detector: one value',
    unit: 'us',
    limit: 2,
    measure: async () => (await context.cpuTime(() => void scoredBy(series, ours))).cpuMs * (1_000 / points),
  });
  await context.limit({
    bar: 'A10',
    name: 'adaptive detector: one series in memory',
    unit: 'bytes',
    limit: 16_384,
    runs: 3,
    measure: () => {
      const [longest] = series.toSorted((a, b) => b.values.length - a.values.length);
      const many = 500;
      globalThis.gc?.();
      const before = process.memoryUsage();
      const detectors = Array.from({ length: many }, () => createDetector());
      for (const detector of detectors) {
        for (let row = 0; row < 2_000; row += 1) {
          detector.next(longest?.values[row] as number, longest?.timesMs[row] as number);
        }
      }
      globalThis.gc?.();
      const after = process.memoryUsage();
      if (detectors.length !== many) throw new Error('The detectors are gone.');
      return (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / many;
    },
  });
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'nab',
  async run(context) {
    const folder = publicSet(context.args['data'], 'nab', isNab);
    if (folder === undefined)
      throw new Error('There is no benchmark in the folder: it has `data` and `labels`. Give it with `--data FOLDER`.');
    const series = readNab(folder);
    if (series.length === 0) {
      context.note(`No series below ${folder}/data; give the folder with --data.`);
      return;
    }
    const scored = scoredBy(series, ours);
    const results = profiles.map(([, profile]) => nabScore(scored, profile));
    for (const text of fileTable(series, scored, results[0]?.threshold ?? 0.5)) context.note(text);
    context.note(`${`${series.length} files`.padEnd(34)}${profiles.map(([name]) => name.padStart(10)).join('')}`);
    context.note(
      line(
        'adaptive',
        results.map(({ score }) => score),
      ),
    );
    context.note(
      line(
        'adaptive, at the default of 0.5',
        profiles.map(([, profile]) => nabScoreAt(scored, profile, 0.5)),
      ),
    );
    context.note(
      line(
        'its best thresholds',
        results.map(({ threshold }) => threshold),
      ),
    );
    for (const [name, make] of Object.entries(nabBaselines)) {
      const baseline = scoredBy(series, make);
      const fixed = name.startsWith('fixed');
      const figures = profiles.map(([, profile]) =>
        fixed ? nabScoreAt(baseline, profile, 0.5) : nabScore(baseline, profile).score,
      );
      context.note(line(name, figures));
    }
    const size = series.length === 31 ? 31 : 58;
    for (const [name, figures] of Object.entries(published[size])) context.note(line(`${name} (published)`, figures));
    for (const [index, [name]] of profiles.entries()) {
      await context.limit({
        bar: 'A10',
        name: `adaptive detector: NAB ${name}, ${series.length} files`,
        unit: 'points',
        kind: 'throughput',
        limit: bars[size][index] as number,
        runs: 1,
        measure: () => results[index]?.score as number,
      });
    }
    await costs(context, series);
  },
});

export default suite;
