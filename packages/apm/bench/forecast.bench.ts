import { forecastSeries } from '@mnops/apm/analysis';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { isNab, type NabSeries, readNab } from '../src/testing/nab-data.js';
import { publicSet } from './public-set.js';

const dayMs = 86_400_000;
/** Weeks of data from which on the season is taken to be a week instead of a day, for the forecast and for its peers. */
const weeksOfWeeks = 14;
/** Instants per file at which a forecast is made. */
const origins = 60;
/** Series of load that people make: taxis, requests, traffic and messages. */
const load = /nyc_taxi|elb_request_count|realTweets\/|realTraffic\//;

/** The series at even steps; a step without a value is not known. */
function even({ values, timesMs }: NabSeries): { readonly stepMs: number; readonly values: readonly number[] } {
  const gaps = [...timesMs.subarray(1)]
    .map((time, index) => time - (timesMs[index] as number))
    .filter((gap) => gap > 0);
  const stepMs = gaps.sort((a, b) => a - b)[gaps.length >> 1] as number;
  const result: number[] = [];
  let row = 0;
  for (let at = timesMs[0] as number; at <= (timesMs.at(-1) as number); at += stepMs) {
    let value = Number.NaN;
    for (; row < values.length && (timesMs[row] as number) <= at + stepMs / 2; row += 1) value = values[row] as number;
    result.push(value);
  }
  return { stepMs, values: result };
}

/** The newest known value at the same place in an earlier season. */
function seasonBefore(values: readonly number[], index: number, season: number): number {
  let at = index - season;
  while (at >= 0 && Number.isNaN(values[at])) at -= season;
  return values[at] ?? Number.NaN;
}

/** Sums over all forecasts of one file. */
interface Outcome {
  readonly ours: number;
  readonly naive: number;
  readonly movingAverage: number;
  readonly inside: number;
  readonly count: number;
  readonly usable: number;
  readonly cpuMs: number;
}

/** Forecasts one series from many instants, each time from nothing but what came before. */
function forecastAll(values: readonly number[], season: number, horizon: number): Outcome {
  const sum = { ours: 0, naive: 0, movingAverage: 0, inside: 0, count: 0, usable: 0 };
  const first = 3 * season;
  const before = process.cpuUsage();
  for (let i = 0; i < origins; i += 1) {
    const now = Math.floor(first + ((values.length - horizon - first) * i) / (origins - 1));
    const { points, usable } = forecastSeries(values.slice(0, now), { season, horizon, minimum: 0 });
    const known = values.slice(now - season, now).filter((value) => !Number.isNaN(value));
    const mean = known.reduce((total, value) => total + value, 0) / known.length;
    sum.usable += usable ? 1 : 0;
    for (const [index, { value, low, high }] of points.entries()) {
      const actual = values[now + index] as number;
      const before = seasonBefore(values, now + index, season);
      if (Number.isNaN(actual + before + mean)) continue;
      sum.ours += Math.abs(actual - value);
      sum.naive += Math.abs(actual - before);
      sum.movingAverage += Math.abs(actual - mean);
      sum.inside += actual >= low && actual <= high ? 1 : 0;
      sum.count += 1;
    }
  }
  const { user, system } = process.cpuUsage(before);
  return { ...sum, cpuMs: (user + system) / 1_000 / origins };
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'forecast',
  async run(context) {
    const folder = publicSet(context.args['data'], 'nab', isNab);
    if (folder === undefined)
      throw new Error('There is no benchmark in the folder: it has `data` and `labels`. Give it with `--data FOLDER`.');
    const series = readNab(folder).filter(({ name }) => load.test(name));
    if (series.length === 0) {
      context.note(`No series of load below ${folder}/data; give the folder with --data.`);
      return;
    }
    for (const [title, hours] of [
      ['an hour', 1],
      ['a day', 24],
    ] as const) {
      const outcomes = series.map((one) => {
        const { stepMs, values } = even(one);
        const days = values.length * stepMs >= weeksOfWeeks * 7 * dayMs ? 7 : 1;
        const horizon = Math.round((hours * 3_600_000) / stepMs);
        const outcome = forecastAll(values, Math.round((days * dayMs) / stepMs), horizon);
        const share = (100 * outcome.inside) / outcome.count;
        const errors = [outcome.ours, outcome.movingAverage].map((error) => (error / outcome.naive).toFixed(3));
        context.note(
          `${title.padEnd(8)} ${one.name.padEnd(52)} error ${errors[0]} of seasonal-naive, moving average ${errors[1]}, ` +
            `inside ${share.toFixed(1)} %, usable ${outcome.usable}/${origins}, ${outcome.cpuMs.toFixed(1)} ms`,
        );
        return outcome;
      });
      const total = (key: 'inside' | 'count'): number => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
      const worst = Math.max(...outcomes.map(({ ours, naive }) => ours / naive));
      const mean = outcomes.reduce((sum, { ours, naive }) => sum + ours / naive, 0) / outcomes.length;
      const average =
        outcomes.reduce((sum, { movingAverage, naive }) => sum + movingAverage / naive, 0) / outcomes.length;
      const scaled = { bar: 'A14', unit: 'of seasonal-naive', runs: 1 } as const;
      await context.limit({
        ...scaled,
        name: `forecast of ${title}: error, worst file`,
        limit: 1,
        measure: () => worst,
      });
      await context.compare({
        ...scaled,
        name: `forecast of ${title}: error, mean of the files`,
        kind: 'cost',
        goal: 1,
        ours: () => mean,
        peer: 'moving average of a season',
        theirs: () => average,
      });
      const off = Math.abs((100 * total('inside')) / total('count') - 90);
      await context.limit({
        bar: 'A14',
        name: `forecast of ${title}: share inside the 90 % range, distance from 90`,
        unit: 'points',
        limit: 3,
        runs: 1,
        measure: () => off,
      });
    }
  },
});

export default suite;
