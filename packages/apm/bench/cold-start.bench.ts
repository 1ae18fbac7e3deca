import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { build } from 'esbuild';

const run = promisify(execFile);
const dist = join(import.meta.dirname, '../dist/index.js');
const require = createRequire(import.meta.url);

/** What a script costs a fresh process, beyond the process itself. */
interface Cost {
  readonly cpuMs: number;
  readonly rssMiB: number;
  readonly wallMs: number;
}

async function coldCost(script: string): Promise<Cost> {
  const code =
    'const cpu = process.cpuUsage(); const rss = process.memoryUsage.rss(); const wall = performance.now();' +
    `${script};` +
    'const { user, system } = process.cpuUsage(cpu);' +
    'console.log(JSON.stringify({ cpuMs: (user + system) / 1000, rssMiB: (process.memoryUsage.rss() - rss) / 1048576, wallMs: performance.now() - wall })); process.exit()';
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], {
    // Peers must not look for their agents.
    env: { ...process.env, DD_TRACE_STARTUP_LOGS: 'false', DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Cost;
}

const firstTrace =
  "const apm = new PerformanceMonitoringManager({ service: 'cold' }); await apm.start(); " +
  "apm.trace('first', () => 1); for await (const trace of apm.findTraces()) trace.traceId; apm.baselines(); apm.serviceMap()";

const peers: Readonly<Record<string, string>> = {
  'sdk-trace-base 2.12, first span': `
    const { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/sdk-trace-base'))});
    const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(new InMemorySpanExporter())] });
    provider.getTracer('cold').startSpan('first').end()`,
  'dd-trace 5.132, first span': `
    const { default: tracer } = await import(${JSON.stringify(require.resolve('dd-trace'))});
    tracer.init({ startupLogs: false, plugins: false, url: 'http://127.0.0.1:9' });
    tracer.startSpan('first').finish()`,
  'elastic-apm-node 4.18, first transaction': `
    const { default: agent } = await import(${JSON.stringify(require.resolve('elastic-apm-node'))});
    agent.start({ serviceName: 'cold', serverUrl: 'http://127.0.0.1:9', logLevel: 'off', instrument: false, centralConfig: false, cloudProvider: 'none' });
    agent.startTransaction('first').end()`,
};

/** An application of one file, as bundlers make them. */
async function bundled(folder: string): Promise<string> {
  const entry = join(folder, 'entry.mjs');
  const outfile = join(folder, 'application.mjs');
  writeFileSync(
    entry,
    `import { PerformanceMonitoringManager } from ${JSON.stringify(dist)};\nexport async function first() { ${firstTrace} }\n`,
  );
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    nodePaths: [join(import.meta.dirname, '../../../node_modules')],
    logLevel: 'error',
  });
  return `const { first } = await import(${JSON.stringify(outfile)}); await first()`;
}

async function limits(context: BenchContext, application: string): Promise<void> {
  const load = `const { PerformanceMonitoringManager } = await import(${JSON.stringify(dist)})`;
  const limit = (name: string, unit: string, most: number, measure: () => Promise<number>): Promise<void> =>
    context.limit({ bar: 'A1', name, unit, limit: most, runs: 10, measure });
  await limit("import '@mnops/apm' (built) in a fresh process", 'ms CPU', 15, async () => (await coldCost(load)).cpuMs);
  await limit('bundled: import, start, first trace with its baseline and map', 'ms CPU', 60, async () => {
    return (await coldCost(application)).cpuMs;
  });
  await limit('bundled: memory that it takes', 'MiB RSS', 10, async () => (await coldCost(application)).rssMiB);
  await limit('from new to the first trace, baseline and map', 'ms', 1_000, async () => {
    return (await coldCost(`${load}; ${firstTrace}`)).wallMs;
  });
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'cold-start',
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'mnops-cold-'));
    try {
      const application = await bundled(folder);
      await limits(context, application);
      for (const [peer, script] of Object.entries(peers)) {
        await context.compare({
          bar: 'A1',
          name: `first trace with its baseline and map, bundled, beside ${peer.split(',')[0]}`,
          unit: 'ms CPU',
          kind: 'cost',
          goal: 1,
          peer,
          ours: async () => (await coldCost(application)).cpuMs,
          theirs: async () => (await coldCost(script)).cpuMs,
          runs: 10,
        });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

export default suite;
