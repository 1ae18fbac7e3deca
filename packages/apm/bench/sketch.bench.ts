import { LatencySketch } from '@mnops/apm/analysis';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { normal, randomOf } from '../src/testing/random.js';
import { type PeerSketch, peerSketch } from '../src/testing/sketches-js.js';

const peer = '@datadog/sketches-js 2.1.1';

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
    const adding = (sketch: { add(value: number): void }) => () => {
      for (let i = 0; i < values.length; i += 1) sketch.add(values[i] as number);
    };
    const theirsOf = (sketch: PeerSketch) => () => {
      for (let i = 0; i < values.length; i += 1) sketch.accept(values[i] as number);
    };
    // Compiled before the first round, as in a process that has run for some seconds.
    for (let i = 0; i < 5; i += 1) {
      adding(new LatencySketch())();
      theirsOf(peerSketch(0.01))();
    }
    await context.compare({
      bar: 'A8',
      name: 'latency sketch: add one value',
      unit: 'ns',
      kind: 'cost',
      goal: 3,
      peer,
      ours: () => perStep(context, values.length, adding(new LatencySketch())),
      theirs: () => perStep(context, values.length, theirsOf(peerSketch(0.01))),
    });
    const ours = new LatencySketch();
    adding(ours)();
    const theirs = peerSketch(0.01);
    theirsOf(theirs)();
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
    const sorted = values.toSorted();
    await context.limit({
      bar: 'A8',
      name: 'latency sketch: largest relative error from P50 to P99.9',
      unit: '%',
      limit: 1,
      runs: 1,
      measure: () =>
        Math.max(
          ...quantiles.map((q) => {
            const exact = sorted[Math.ceil(q * sorted.length) - 1] as number;
            return (Math.abs((ours.quantile(q) as number) - exact) / exact) * 100;
          }),
        ),
    });
  },
});

export default suite;
