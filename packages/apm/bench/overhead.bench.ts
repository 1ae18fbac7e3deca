import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';

const run = promisify(execFile);
const dist = join(import.meta.dirname, '../dist/index.js');

/**
 * Makes spans as OpenTelemetry's benchmark does: no parent, ten attributes of twenty characters each. The first rounds
 * warm the process up, the median of the others counts.
 */
const measuring = `
  const keys = Array.from({ length: 10 }, (_, i) => 'attribute.key.number.' + i);
  const value = 'a value of twenty ch';
  const spans = 40_000;
  async function perSpan(tracer, settle) {
    const rounds = [];
    for (let round = 0; round < 9; round += 1) {
      const before = process.cpuUsage();
      for (let i = 0; i < spans; i += 1) {
        const span = tracer.startSpan('GET /items', { kind: 1 });
        for (const key of keys) span.setAttribute(key, value);
        span.end();
        // Timers and batches get their turn, as in a server.
        if (i % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
      }
      await settle();
      const { user, system } = process.cpuUsage(before);
      if (round >= 4) rounds.push((user + system) / spans);
    }
    rounds.sort((left, right) => left - right);
    console.log(rounds[2]);
    process.exit();
  }`;

/** Microseconds of processor time per span, in a process of its own: a program has one SDK, and is compiled for it. */
async function perSpan(script: string): Promise<number> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', `${measuring}\n${script}`]);
  return Number(stdout);
}

/** The same spans where none is wanted; more of them, since each is short. */
const unsampled = `
  async function perUnsampledSpan(tracer) {
    const rounds = [];
    for (let round = 0; round < 9; round += 1) {
      const before = process.cpuUsage();
      for (let i = 0; i < 10 * spans; i += 1) {
        const span = tracer.startSpan('GET /items', { kind: 1 });
        for (const key of keys) span.setAttribute(key, value);
        span.end();
        if (i % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
      }
      const { user, system } = process.cpuUsage(before);
      if (round >= 4) rounds.push((user + system) / (10 * spans));
    }
    rounds.sort((left, right) => left - right);
    console.log(rounds[2]);
    process.exit();
  }`;

async function ours(config: string): Promise<number> {
  return await perSpan(`
    const { PerformanceMonitoringManager } = await import(${JSON.stringify(dist)});
    const apm = new PerformanceMonitoringManager({ service: 'bench', registerGlobals: false, ${config} });
    await apm.start();
    await perSpan(apm.tracer, async () => apm.stats());`);
}

async function oursUnsampled(): Promise<number> {
  return await perSpan(`${unsampled}
    const { PerformanceMonitoringManager } = await import(${JSON.stringify(dist)});
    const apm = new PerformanceMonitoringManager({
      service: 'bench',
      registerGlobals: false,
      sampling: { head: { kind: 'parent-based', root: { kind: 'ratio', ratio: 1e-7 } } },
    });
    await apm.start();
    await perUnsampledSpan(apm.tracer);`);
}

async function plainUnsampled(): Promise<number> {
  return await perSpan(`${unsampled}
    const sdk = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/sdk-trace-base'))});
    const sampler = new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(1e-7) });
    const exporter = { export: (_spans, done) => done({ code: 0 }), shutdown: async () => undefined };
    const provider = new sdk.BasicTracerProvider({ sampler, spanProcessors: [new sdk.BatchSpanProcessor(exporter)] });
    await perUnsampledSpan(provider.getTracer('bench'));`);
}

async function plain(): Promise<number> {
  return await perSpan(`
    const sdk = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/sdk-trace-base'))});
    const exporter = { export: (_spans, done) => done({ code: 0 }), shutdown: async () => undefined };
    const processor = new sdk.BatchSpanProcessor(exporter, { maxQueueSize: 8_192 });
    const provider = new sdk.BasicTracerProvider({ spanProcessors: [processor] });
    await perSpan(provider.getTracer('bench'), () => provider.forceFlush());`);
}

async function datadog(): Promise<number> {
  return await perSpan(`
    const { createRequire } = await import('node:module');
    const tracer = createRequire(${JSON.stringify(import.meta.filename)})('dd-trace');
    tracer.init({ startupLogs: false, plugins: false, url: 'http://127.0.0.1:9' });
    // As the other side: spans are taken, not encoded.
    tracer._tracer._exporter.export = () => undefined;
    const asOpenTelemetry = {
      startSpan(name) {
        const span = tracer.startSpan(name);
        return { setAttribute: (key, value) => span.setTag(key, value), end: () => span.finish() };
      },
    };
    await perSpan(asOpenTelemetry, async () => undefined);`);
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'overhead',
  async run(context) {
    const peer = 'sdk-trace-base 2.12 with batch processor';
    // A cost of at most 1.15 times the peer's is a ratio of at least 1 / 1.15.
    await context.compare({
      bar: 'A7',
      name: 'span with ten attributes, analysis and trace store on',
      unit: 'us',
      kind: 'cost',
      goal: 0.87,
      peer,
      ours: () => ours(''),
      theirs: plain,
      runs: 7,
    });
    await context.limit({
      bar: 'A7',
      name: 'recording and analysis of 2,000 such spans a second',
      unit: '% of a core',
      limit: 1,
      // Microseconds per span, times spans per second, of a second.
      measure: async () => ((await ours('')) * 2_000 * 100) / 1e6,
    });
    await context.compare({
      bar: 'A7',
      name: 'span with ten attributes, analysis off',
      unit: 'us',
      kind: 'cost',
      goal: 0.95,
      peer,
      ours: () => ours('analysis: false'),
      theirs: plain,
      runs: 7,
    });
    await context.compare({
      bar: 'A7',
      name: 'span with ten attributes, analysis and trace store on, beside dd-trace',
      unit: 'us',
      kind: 'cost',
      goal: 1,
      peer: 'dd-trace 5.132, exporter taken off',
      ours: () => ours(''),
      theirs: datadog,
      runs: 5,
    });
    // At most 0.3 times the peer's.
    await context.compare({
      bar: 'A7',
      name: 'span that is not sampled (parent-based, a ratio near 0)',
      unit: 'us',
      kind: 'cost',
      goal: 3.33,
      peer,
      ours: oursUnsampled,
      theirs: plainUnsampled,
      runs: 7,
    });
  },
});

export default suite;
