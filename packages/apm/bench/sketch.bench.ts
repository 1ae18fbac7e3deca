import { LatencySketch } from '@mnops/apm/analysis';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { build, type Histogram } from 'hdr-histogram-js';
import { normal, randomOf } from '../src/testing/random.js';
import { type PeerSketch, peerSketch } from '../src/testing/sketches-js.js';

/** Latencies in milliseconds as services have them. */
const distributions: Readonly<Record<string, (random: () => number) => number>> = {
  lognormal: (random) => Math.exp(3 + normal(random)),
  uniform: (random) => 1 + 999 * random(),
  exponential: (random) => -20 * Math.log(1 - random()) + 1e-3,
  pareto: (random) => 5 * (1 - random()) ** (-1 / 1.5),
  bimodal: (random) => Math.abs(random() < 0.8 ? 5 + normal(random) : 400 + 40 * normal(random)) + 1e-3,
};

const peer = '@datadog/sketches-js 2.1.1';

/** Sketches filled per measure: what the collector of garbage still does after the last one is a small share then. */
const fills = 5;

/** Nanoseconds of processor time per step. */
async function perStep(context: BenchContext, steps: number, run: () => void): Promise<number> {
  const { cpuMs } = await context.cpuTime(run);
  return (cpuMs * 1e6) / steps;
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'sketch',
  async run(context) {
    const random = randomOf(1);
    const values = Float64Array.from({ length: 1_000_000 }, () => Math.exp(3 + normal(random)));
    // Plain loops: an iterator would be a third of what is measured.
    const add = (sketch: LatencySketch): void => {
      for (let i = 0; i < values.length; i += 1) sketch.add(values[i] as number);
    };
    const accept = (sketch: PeerSketch): void => {
      for (let i = 0; i < values.length; i += 1) sketch.accept(values[i] as number);
    };
    const perFill = (fill: () => void): Promise<number> =>
      perStep(context, fills * values.length, () => {
        for (let i = 0; i < fills; i += 1) fill();
      });
    // Compiled before the first round, as in a process that has run for some seconds; and kept, since compiled code goes
    // with the last object that it was made for.
    const [ours, theirs] = [new LatencySketch(), peerSketch(0.01)];
    for (let i = 0; i < 5; i += 1) {
      add(ours);
      accept(theirs);
    }
    await context.compare({
      bar: 'A8',
      name: 'latency sketch: add one value',
      unit: 'ns',
      kind: 'cost',
      goal: 3,
      peer,
      ours: () => perFill(() => add(new LatencySketch())),
      theirs: () => perFill(() => accept(peerSketch(0.01))),
    });
    const quantiles = [0.5, 0.9, 0.95, 0.99, 0.999];
    await context.compare({
      bar: 'A8',
      name: 'latency sketch: read five quantiles',
      unit: 'ns',
      kind: 'cost',
      goal: 1,
      peer,
      ours: () =>
        perStep(context, 50_000, () => {
          for (let i = 0; i < 50_000; i += 1) for (const q of quantiles) ours.quantile(q);
        }),
      theirs: () =>
        perStep(context, 50_000, () => {
          for (let i = 0; i < 50_000; i += 1) for (const q of quantiles) theirs.getValueAtQuantile(q);
        }),
    });
    const histogram = build();
    const record = (into: Histogram): void => {
      for (let i = 0; i < values.length; i += 1) into.recordValue(values[i] as number);
    };
    record(histogram);
    await context.compare({
      bar: 'A8',
      name: 'latency sketch: add one value, beside two digits',
      unit: 'ns',
      kind: 'cost',
      goal: 3,
      peer: 'hdr-histogram-js 3.0.1',
      ours: () => perFill(() => add(new LatencySketch())),
      theirs: () => perFill(() => record(build({ numberOfSignificantValueDigits: 2 }))),
    });
    for (const [name, draw] of Object.entries(distributions)) {
      const drawn = Float64Array.from({ length: 1_000_000 }, () => draw(random));
      const whole = new LatencySketch();
      const halves = [new LatencySketch(), new LatencySketch()] as const;
      drawn.forEach((value, i) => {
        whole.add(value);
        halves[i % 2 === 0 ? 0 : 1].add(value);
      });
      halves[0].merge(halves[1]);
      const sorted = drawn.toSorted();
      const errors = quantiles.map((q) => {
        const exact = sorted[Math.ceil(q * sorted.length) - 1] as number;
        // A merge that differs in anything is an error of 100 %.
        if (halves[0].quantile(q) !== whole.quantile(q)) return 100;
        return (Math.abs((whole.quantile(q) as number) - exact) / exact) * 100;
      });
      await context.limit({
        bar: 'A8',
        name: `latency sketch, merged of two: largest relative error from P50 to P99.9, ${name}`,
        unit: '%',
        limit: 1,
        runs: 1,
        measure: () => Math.max(...errors),
      });
    }
  },
});

export default suite;
