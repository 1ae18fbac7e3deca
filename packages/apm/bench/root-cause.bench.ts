import { type RootCauseRanking, rankRootCauses } from '@mnops/apm/analysis';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import type { MetricSeries } from '../src/analysis/root-cause/inputs.js';
import { baselines } from '../src/testing/public-root-cause/baselines.js';
import { isNezha, type NezhaCase, nezhaCases } from '../src/testing/public-root-cause/nezha-set.js';
import { isPetShop, petShopCalm, petShopCases } from '../src/testing/public-root-cause/petshop-set.js';
import { publicSet } from './public-set.js';

/** Rank of the cause among the candidates from 0 on, -1 when it is not there. */
type Rank = number;

interface Outcome {
  readonly kind: string;
  readonly rank: Rank;
}

const share = (some: readonly Outcome[], first: number): number =>
  some.filter(({ rank }) => rank >= 0 && rank < first).length / Math.max(1, some.length);

function rankOf(ranking: Pick<RootCauseRanking, 'candidates'>, cause: string): Rank {
  return ranking.candidates.findIndex(({ service }) => service === cause);
}

/** Processor milliseconds that a piece of work takes. */
function timed<T>(run: () => T): { result: T; ms: number } {
  const before = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(before);
  return { result, ms: (user + system) / 1_000 };
}

function line(context: BenchContext, title: string, outcomes: readonly Outcome[]): void {
  const figures = [1, 3, 5].map((first) => share(outcomes, first).toFixed(3)).join(' / ');
  context.note(`${title}: AC@1/3/5 ${figures} of ${outcomes.length}`);
  for (const kind of [...new Set(outcomes.map((one) => one.kind))].sort()) {
    const own = outcomes.filter((one) => one.kind === kind);
    context.note(`  ${kind}: ${[1, 3, 5].map((first) => share(own, first).toFixed(2)).join(' / ')} of ${own.length}`);
  }
}

async function record(context: BenchContext, bar: string, name: string, value: number, limit: number): Promise<void> {
  await context.limit({ bar, name, unit: 'share', kind: 'throughput', limit, runs: 1, measure: () => value });
}

/** The median of the cases; the first one of a process also compiles the code, and says what that costs. */
async function cost(context: BenchContext, bar: string, name: string, ms: readonly number[]): Promise<void> {
  const sorted = ms.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  context.note(`${name}: first ${ms[0]?.toFixed(0)}, most ${sorted.at(-1)?.toFixed(0)} ms CPU`);
  await context.limit({ bar, name: `${name} (median)`, unit: 'ms CPU', limit: 100, runs: 1, measure: () => median });
}

async function petShop(context: BenchContext, folder: string): Promise<void> {
  const outcomes: Outcome[] = [];
  const others = new Map<string, Outcome[]>();
  const ms: number[] = [];
  for (const { name, kind, cause, atMs, entry, calls, metrics } of petShopCases(folder)) {
    const { result, ms: took } = timed(() => rankRootCauses({ metrics, calls, entry, at: new Date(atMs) }));
    ms.push(took);
    const rank = rankOf(result, cause);
    outcomes.push({ kind, rank });
    context.note(`${name}: rank ${rank + 1}; ${result.candidates[0]?.evidence[0]?.text ?? 'none'}`);
    const sameMetric = metrics.filter((series) => series.name === entry.metric);
    for (const [title, baseline] of baselines) {
      const order = baseline({ metrics: sameMetric, calls, atMs, entry: entry.service });
      const known = others.get(title) ?? [];
      others.set(title, [...known, { kind, rank: order.indexOf(cause) }]);
    }
  }
  line(context, 'PetShop', outcomes);
  for (const [title, some] of others) line(context, title, some);
  const calm = petShopCalm(folder, 60);
  const none = calm.filter(
    ({ metrics, calls, entry, atMs }) =>
      rankRootCauses({ metrics, calls, entry, at: new Date(atMs) }).verdict === 'none',
  );
  await record(context, '11', 'PetShop top-1', share(outcomes, 1), 0.6);
  await record(context, '11', 'PetShop top-3', share(outcomes, 3), 0.9);
  await record(context, '11', 'PetShop none where nothing is wrong', none.length / calm.length, 0.95);
  await cost(context, '11', 'PetShop, one case', ms);
}

type Sources = 'traces' | 'all';

function nezhaInput(one: NezhaCase, offsetMs: number, sources: Sources): Parameters<typeof rankRootCauses>[0] {
  const atMs = one.atMs + offsetMs;
  const startMs = (nanos: bigint): number => Number(nanos) / 1e6;
  const faulty = one.around.filter((span) => startMs(span.startTimeUnixNano) >= atMs);
  const before = one.around.filter((span) => startMs(span.startTimeUnixNano) < atMs);
  const more = sources === 'all' ? { logs: one.logs, metrics: one.metrics } : {};
  return { normal: [...one.calm, ...before], faulty, ...more, at: new Date(atMs) };
}

/** What was recorded before the fault, as if something had begun in it. */
function nezhaCalm(one: NezhaCase, sources: Sources): RootCauseRanking | undefined {
  const untilMs = one.atMs - 2_000;
  const faulty = one.around.filter((span) => Number(span.startTimeUnixNano) / 1e6 < untilMs);
  if (new Set(faulty.map(({ traceId }) => traceId)).size < 10) return undefined;
  const ended = (series: MetricSeries): MetricSeries => ({
    ...series,
    points: series.points.filter((point) => point.atMs < untilMs),
  });
  const logs = one.logs.filter((record) => record.atMs < untilMs);
  const more = sources === 'all' ? { logs, metrics: one.metrics.map(ended) } : {};
  return rankRootCauses({ normal: one.calm, faulty, ...more, at: new Date(one.atMs - 60_000) });
}

async function nezha(context: BenchContext, folder: string): Promise<void> {
  const offsets = [0, -60, -30, 30, 60];
  const found = new Map<string, Outcome[]>();
  const calm = { traces: [] as boolean[], all: [] as boolean[] };
  const ms = { traces: [] as number[], all: [] as number[] };
  const others = new Map<string, Outcome[]>();
  const add = (into: Map<string, Outcome[]>, key: string, outcome: Outcome): void => {
    const known = into.get(key) ?? [];
    known.push(outcome);
    into.set(key, known);
  };
  for (const one of nezhaCases(folder)) {
    for (const sources of ['traces', 'all'] as const) {
      for (const offset of offsets) {
        const input = nezhaInput(one, offset * 1_000, sources);
        const { result, ms: took } = timed(() => rankRootCauses(input));
        const rank = rankOf(result, one.cause);
        add(found, `${sources} ${offset}`, { kind: one.kind, rank });
        if (offset !== 0) continue;
        ms[sources].push(took);
        context.note(
          `${one.name} ${one.cause} (${sources}): rank ${rank + 1}; ${result.candidates[0]?.evidence[0]?.text ?? 'none'}`,
        );
      }
      const quiet = nezhaCalm(one, sources);
      if (quiet !== undefined) calm[sources].push(quiet.verdict === 'none');
    }
    for (const [title, baseline] of baselines) {
      const order = baseline({ metrics: one.metrics, calls: [], atMs: one.atMs, entry: undefined });
      add(others, title, { kind: one.kind, rank: order.indexOf(one.cause) });
    }
  }
  for (const [title, outcomes] of [...found, ...others]) line(context, `Nezha, ${title}`, outcomes);
  const goals = { traces: [0.7, 0.94], all: [0.7, 0.94] } as const;
  for (const sources of ['traces', 'all'] as const) {
    const exact = found.get(`${sources} 0`) ?? [];
    const loss = Math.max(
      ...offsets.map((offset) => share(exact, 1) - share(found.get(`${sources} ${offset}`) ?? [], 1)),
    );
    const none = calm[sources].filter(Boolean).length / Math.max(1, calm[sources].length);
    await record(context, '12', `Nezha AC@1, ${sources}`, share(exact, 1), goals[sources][0]);
    await record(context, '12', `Nezha AC@3, ${sources}`, share(exact, 3), goals[sources][1]);
    await context.limit({
      bar: '12',
      name: `Nezha loss, time off by 60 s, ${sources}`,
      unit: 'share',
      limit: 0.05,
      runs: 1,
      measure: () => loss,
    });
    await record(context, '12', `Nezha none where nothing is wrong, ${sources}`, none, 0.95);
    await cost(context, '12', `Nezha, one case, ${sources}`, ms[sources]);
  }
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'root-cause',
  async run(context) {
    const sets = [
      { name: 'petshop', isSet: isPetShop, run: petShop },
      { name: 'nezha-trainticket', isSet: isNezha, run: nezha },
    ];
    const found = sets.flatMap(({ name, isSet, run }) => {
      const folder = publicSet(context.args['data'], name, isSet);
      return folder === undefined ? [] : [{ folder, run }];
    });
    if (found.length === 0) throw new Error('There is no public set in the folder. Give one with `--data FOLDER`.');
    for (const { folder, run } of found) await run(context, folder);
  },
});

export default suite;
