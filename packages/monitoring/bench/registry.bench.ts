import { MetricRegistry } from '@mnops/monitoring';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import client from 'prom-client';

const labelSets = Array.from({ length: 192 }, (_, index) => ({
  method: `m${index % 4}`,
  route: `/r${index % 12}`,
  status: `${200 + (index % 4)}`,
}));
const labels = ['method', 'route', 'status'] as const;

/** CPU nanoseconds per call, best of several passes; the index keeps the JIT from lifting the call out of the loop. */
async function perCall(ctx: BenchContext, count: number, call: (index: number) => void): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < 5; pass++) {
    const { cpuMs } = await ctx.cpuTime(() => {
      for (let index = 0; index < count; index++) call(index);
    });
    best = Math.min(best, (cpuMs * 1e6) / count);
  }
  return best;
}

const suite: BenchSuite = defineBench({
  package: 'monitoring',
  suite: 'registry',
  async run(ctx) {
    const registry = new MetricRegistry();
    const theirs = new client.Registry();
    const ourCounter = registry.counter({ name: 'requests_total', help: 'Requests.', labels });
    const theirCounter = new client.Counter({
      name: 'requests_total',
      help: 'Requests.',
      labelNames: labels,
      registers: [theirs],
    });
    const ourHandles = labelSets.map((set) => ourCounter.with(set));
    const theirHandles = labelSets.map((set) => theirCounter.labels(set));
    const ourHistogram = registry.histogram({ name: 'duration_seconds', help: 'Duration.', labels });
    const theirHistogram = new client.Histogram({
      name: 'duration_seconds',
      help: 'Duration.',
      labelNames: labels,
      registers: [theirs],
    });
    const ourTimes = labelSets.map((set) => ourHistogram.with(set));
    const theirTimes = labelSets.map((set) => theirHistogram.labels(set));
    const compare = (
      name: string,
      goal: number,
      count: number,
      ours: (index: number) => void,
      peer: (index: number) => void,
    ) =>
      ctx.compare({
        bar: '1',
        name,
        unit: 'ns/call',
        kind: 'cost',
        goal,
        peer: 'prom-client',
        ours: () => perCall(ctx, count * 10, ours),
        theirs: () => perCall(ctx, count, peer),
      });
    await compare(
      'counter, bound',
      50,
      200_000,
      (index) => ourHandles[index % 192]?.inc(),
      (index) => theirHandles[index % 192]?.inc(),
    );
    await compare(
      'counter, unbound',
      5,
      200_000,
      (index) => ourCounter.inc(labelSets[index % 192] as (typeof labelSets)[0]),
      (index) => theirCounter.inc(labelSets[index % 192] as (typeof labelSets)[0]),
    );
    await compare(
      'histogram, bound',
      30,
      200_000,
      (index) => ourTimes[index % 192]?.observe((index % 100) / 10),
      (index) => theirTimes[index % 192]?.observe((index % 100) / 10),
    );
    await scrape(ctx);
  },
});

export default suite;

async function scrape(ctx: BenchContext): Promise<void> {
  const registry = new MetricRegistry({ limits: { totalBytes: 1e9 } });
  const theirs = new client.Registry();
  const limits = { seriesPerMetric: 200_000, valuesPerLabel: 200_000 };
  const ourCounter = registry.counter({ name: 'items_total', help: 'Items.', labels: ['item'], limits });
  const theirCounter = new client.Counter({
    name: 'items_total',
    help: 'Items.',
    labelNames: ['item'],
    registers: [theirs],
  });
  for (let index = 0; index < 100_000; index++) {
    ourCounter.inc({ item: `item-${index}` }, index);
    theirCounter.inc({ item: `item-${index}` }, index);
  }
  await ctx.compare({
    bar: '2',
    name: 'scrape of 100,000 counters',
    unit: 'CPU ms',
    kind: 'cost',
    goal: 10,
    peer: 'prom-client',
    ours: async () => (await ctx.cpuTime(async () => Buffer.byteLength(await registry.text()))).cpuMs,
    theirs: async () => (await ctx.cpuTime(async () => Buffer.byteLength(await theirs.metrics()))).cpuMs,
  });
  const histograms = new MetricRegistry({ limits: { totalBytes: 1e9 } });
  const theirHistograms = new client.Registry();
  const ourHistogram = histograms.histogram({ name: 'work_seconds', help: 'Work.', labels: ['item'], limits });
  const theirHistogram = new client.Histogram({
    name: 'work_seconds',
    help: 'Work.',
    labelNames: ['item'],
    registers: [theirHistograms],
  });
  for (let index = 0; index < 10_000; index++) {
    ourHistogram.observe({ item: `item-${index}` }, index / 1_000);
    theirHistogram.observe({ item: `item-${index}` }, index / 1_000);
  }
  await ctx.compare({
    bar: '2',
    name: 'scrape of 10,000 histograms',
    unit: 'CPU ms',
    kind: 'cost',
    goal: 4,
    peer: 'prom-client',
    ours: async () => (await ctx.cpuTime(async () => Buffer.byteLength(await histograms.text()))).cpuMs,
    theirs: async () => (await ctx.cpuTime(async () => Buffer.byteLength(await theirHistograms.metrics()))).cpuMs,
  });
}
