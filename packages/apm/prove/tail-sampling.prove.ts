import type { Span } from '@mnops/core/spi';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type Span as OtelSpan, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';
import { adjustedCountOf } from '../src/sampling/adjusted-count.js';
import { BackEndRates } from '../src/sampling/back-end-rates.js';
import { headDecider } from '../src/sampling/head-sampler.js';
import { normal } from '../src/testing/random.js';
import { testExporter } from '../src/testing/test-exporter.js';
import { randomIds } from '../src/tracing/random-ids.js';

/** Operations with their share of the traffic, median in microseconds, spread of the logarithm, and share of failures. */
const operations = [
  { name: 'GET /items', share: 0.5, median: 4_000, spread: 0.5, failures: 0.001 },
  { name: 'GET /items/{id}', share: 0.3, median: 2_000, spread: 0.9, failures: 0.01 },
  { name: 'POST /orders', share: 0.15, median: 30_000, spread: 0.4, failures: 0.03 },
  { name: 'GET /report', share: 0.05, median: 200_000, spread: 0.7, failures: 0 },
] as const;
const probability = 0.05;
/** Runs of one operation before its P99 is known. */
const learning = 100;

/** Exact ranks of whole microseconds: counts in a tree of partial sums (Fenwick). */
class Ranks {
  readonly #sums = new Uint32Array(1 << 24);
  count = 0;

  add(value: number): void {
    this.count += 1;
    for (let at = value + 1; at < this.#sums.length; at += at & -at) (this.#sums[at] as number) += 1;
  }

  /** How many values were at or below this one. */
  upTo(value: number): number {
    let sum = 0;
    for (let at = value + 1; at > 0; at -= at & -at) sum += this.#sums[at] as number;
    return sum;
  }
}

/** What the kept traces say of one operation, beside what was. */
interface Tally {
  true: number;
  mustKeep: number;
  failed: number;
  estimated: number;
  estimatedFailed: number;
  kept: number;
}

class Traffic {
  readonly tallies: Map<string, Tally> = new Map();
  /** Traces that must be kept and have not come out yet. */
  readonly missing: Set<string> = new Set();
  readonly #ranks = new Map<string, Ranks>();
  readonly #random: () => number;
  readonly #apm: PerformanceMonitoringManager;
  readonly #startS = Math.floor(Date.now() / 1_000) - 10;

  constructor(random: () => number, apm: PerformanceMonitoringManager) {
    this.#random = random;
    this.#apm = apm;
  }

  /** Makes one trace. */
  run(number: number): void {
    const random = this.#random;
    // A job that runs six times, however many requests there are.
    const isJob = number % 1_000 === 7 && number < 6_000;
    const draw = random();
    let below = 0;
    const operation = operations.find(({ share }) => {
      below += share;
      return draw < below;
    });
    const { name, median, spread, failures } = isJob
      ? { name: 'nightly job', median: 1_000, spread: 0.1, failures: 0 }
      : (operation ?? operations[0]);
    const us = Math.min((1 << 24) - 2, Math.max(1, Math.round(median * Math.exp(spread * normal(random)))));
    const failed = random() < failures;
    const root = this.#apm.tracer.startSpan(name, { kind: 1, startTime: [this.#startS, 0] });
    const context = trace.setSpan(ROOT_CONTEXT, root);
    for (let child = Math.floor(random() * 3); child >= 0; child -= 1) {
      const span = this.#apm.tracer.startSpan('query', { kind: 2, startTime: [this.#startS, 0] }, context);
      if (failed && child === 0) span.setStatus({ code: 2 });
      span.end([this.#startS, 1_000]);
    }
    this.#note(root, name, us, failed, isJob);
    root.end([this.#startS + Math.floor(us / 1e6), (us % 1e6) * 1_000]);
  }

  /** Takes a span that was kept. */
  collect(span: Span): void {
    if (span.parentSpanId !== undefined) return;
    const tally = this.#tallyOf(span.name);
    tally.kept += 1;
    tally.estimated += adjustedCountOf(span);
    if (span.attributes['sampling.kept_by'] === 'error') tally.estimatedFailed += adjustedCountOf(span);
    this.missing.delete(span.traceId);
  }

  #note(root: OtelSpan, name: string, us: number, failed: boolean, isJob: boolean): void {
    let ranks = this.#ranks.get(name);
    if (ranks === undefined) {
      ranks = new Ranks();
      this.#ranks.set(name, ranks);
    }
    const tally = this.#tallyOf(name);
    // Above the P99 by nearest rank of all runs before.
    const slow = ranks.count >= learning && ranks.upTo(us - 1) >= 0.99 * ranks.count;
    ranks.add(us);
    tally.true += 1;
    if (failed) tally.failed += 1;
    if (!(slow || failed || isJob)) return;
    tally.mustKeep += 1;
    this.missing.add(root.spanContext().traceId);
  }

  #tallyOf(name: string): Tally {
    const known = this.tallies.get(name);
    if (known !== undefined) return known;
    const created = { true: 0, mustKeep: 0, failed: 0, estimated: 0, estimatedFailed: 0, kept: 0 };
    this.tallies.set(name, created);
    return created;
  }
}

/** Whether an estimate is within 3 %, or, of few, within five standard deviations of chance. */
function isNear(estimated: number, truth: number): boolean {
  const chance = 5 * Math.sqrt((truth * (1 - probability)) / probability);
  return Math.abs(estimated - truth) <= Math.max(0.03 * truth, chance);
}

const keeping: Campaign = defineCampaign({
  package: 'apm',
  suite: 'tail-sampling',
  bar: 'A13',
  name: 'every failed trace, every one above its P99 and every rare one is kept at 5 % of the rest; counts from kept ones within 3 %',
  goal: '0 of 1,000,000',
  defaultCount: 1_000_000,
  shortCount: 10_000,
  async run({ count, random, fail, progress }) {
    let take: (span: Span) => void = () => undefined;
    const exporter = testExporter(
      ({ groups, spanCount }) => {
        for (const { spans } of groups) spans.forEach(take);
        return { accepted: spanCount, rejected: 0 };
      },
      { maxSpansPerRequest: 5_000 },
    );
    const apm = new PerformanceMonitoringManager({
      service: 'sampled',
      registerGlobals: false,
      random,
      exporters: [exporter],
      queue: { maxSpans: 1e6, maxBytes: 1e9, batchSpans: 5_000 },
      store: { maxTraces: 1_000 },
      sampling: { tail: { probability, maxTracesPerSecond: 1e9 } },
    });
    await apm.start();
    const traffic = new Traffic(random, apm);
    take = (span) => traffic.collect(span);
    for (let i = 0; i < count; i += 1) {
      traffic.run(i);
      if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (i % 20_000 === 0) {
        progress(i);
        await apm.flush();
      }
    }
    const baselines = apm.baselines({ service: 'sampled', kind: 'server' });
    await apm.stop();
    const { sampling, spans } = apm.stats();
    const lost = Object.values(sampling.droppedSpans).reduce((sum, value) => sum + value, 0);
    if (sampling.keptSpans + lost !== spans.ended)
      fail(`${spans.ended} spans, ${sampling.keptSpans} kept, ${lost} not`);
    if (traffic.missing.size > 0) fail(`${traffic.missing.size} traces that had to be kept were not`);
    for (const [name, tally] of traffic.tallies) {
      const seen = baselines.find(({ operation }) => operation === name);
      if (seen?.count !== tally.true) fail(`${name}: the baseline saw ${seen?.count} of ${tally.true}`);
      if (!isNear(tally.estimated, tally.true)) fail(`${name}: ${tally.estimated} estimated, ${tally.true} true`);
      if (tally.estimatedFailed !== tally.failed) fail(`${name}: ${tally.estimatedFailed} failures of ${tally.failed}`);
    }
    const all = [...traffic.tallies.values()];
    const sum = (key: keyof Tally): number => all.reduce((total, tally) => total + tally[key], 0);
    if (!isNear(sum('estimated'), sum('true'))) fail(`${sum('estimated')} estimated, ${sum('true')} true`);
    const rest = sum('true') - sum('mustKeep');
    const chosen = sampling.keptTraces.probability;
    if (!isNear(chosen / probability, rest)) fail(`${chosen} of the other ${rest} were kept`);
    // What is kept beyond that: the first runs of each operation, and those just below their P99.
    const beyond = sum('kept') - sum('mustKeep') - chosen;
    if (beyond > all.length * 40 + 0.01 * count) fail(`${beyond} traces were kept without need`);
    progress(count);
  },
});

const consistency: Campaign = defineCampaign({
  package: 'apm',
  suite: 'tail-sampling',
  bar: 'A13',
  name: 'services with different probabilities keep the same traces, each its share (chi-square of 64 parts)',
  goal: '0 of 1,000,000',
  defaultCount: 1_000_000,
  shortCount: 64_000,
  async run({ count, random, fail, progress }) {
    const ids = randomIds(random);
    const shares = [0.5, 0.05, 0.01];
    const deciders = shares.map((share) =>
      headDecider(
        { kind: 'probability', probability: share },
        { service: 's', rates: new BackEndRates('s', undefined), random, monotonicMs: () => 0, limiters: [] },
      ),
    );
    const parts = 64;
    const perPart = Math.floor(count / parts);
    const chiSquares = shares.map(() => 0);
    for (let part = 0; part < parts; part += 1) {
      progress(part * perPart);
      const kept = shares.map(() => 0);
      for (let i = 0; i < perPart; i += 1) {
        const traceId = ids.generateTraceId();
        let before = true;
        for (const [service, decide] of deciders.entries()) {
          const { sampled } = decide({
            traceId,
            name: 'work',
            kind: 'server',
            attributes: {},
            callerSampled: undefined,
            member: undefined,
          });
          if (sampled && !before) fail(`trace ${traceId} is kept at ${shares[service]} and not at the share above`);
          if (sampled) (kept[service] as number) += 1;
          before = sampled;
        }
      }
      for (const [service, share] of shares.entries()) {
        const expected = perPart * share;
        (chiSquares[service] as number) += ((kept[service] as number) - expected) ** 2 / (expected * (1 - share));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const [service, chiSquare] of chiSquares.entries()) {
      // With 64 degrees of freedom one in a million is above 130; one in a million is below 22.
      if (chiSquare > 130 || chiSquare < 22) fail(`chi-square ${chiSquare} at a probability of ${shares[service]}`);
    }
    progress(count);
  },
});

const campaigns: readonly Campaign[] = [keeping, consistency];

export default campaigns;
