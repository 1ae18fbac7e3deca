import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import type { Tracer } from '@opentelemetry/api';
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { APMConfig } from '../src/config.js';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';

const spans = 40_000;
const keys = Array.from({ length: 10 }, (_, i) => `attribute.key.number.${i}`);
const value = 'a value of twenty ch';

/** Makes spans as OpenTelemetry's benchmark does: no parent, ten attributes of twenty characters each. */
async function perSpan(context: BenchContext, tracer: Tracer, settle: () => Promise<unknown>): Promise<number> {
  const { cpuMs } = await context.cpuTime(async () => {
    for (let i = 0; i < spans; i += 1) {
      const span = tracer.startSpan('GET /items', { kind: 1 });
      for (const key of keys) span.setAttribute(key, value);
      span.end();
      // Timers and batches get their turn, as in a server.
      if (i % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
    }
    await settle();
  });
  return (cpuMs * 1_000) / spans;
}

async function ours(context: BenchContext, config: APMConfig): Promise<number> {
  const apm = new PerformanceMonitoringManager({ service: 'bench', registerGlobals: false, ...config });
  await apm.start();
  const result = await perSpan(context, apm.tracer, async () => undefined);
  await apm.stop();
  return result;
}

async function plain(context: BenchContext): Promise<number> {
  const exporter: SpanExporter = {
    export: (_spans, done) => done({ code: 0 }),
    shutdown: async () => undefined,
  };
  const processor = new BatchSpanProcessor(exporter, { maxQueueSize: 8_192 });
  const provider = new BasicTracerProvider({ spanProcessors: [processor] });
  const result = await perSpan(context, provider.getTracer('bench'), () => provider.forceFlush());
  await provider.shutdown();
  return result;
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
      ours: () => ours(context, {}),
      theirs: () => plain(context),
      runs: 7,
    });
    await context.compare({
      bar: 'A7',
      name: 'span with ten attributes, analysis off',
      unit: 'us',
      kind: 'cost',
      goal: 0.95,
      peer,
      ours: () => ours(context, { analysis: false }),
      theirs: () => plain(context),
      runs: 7,
    });
  },
});

export default suite;
