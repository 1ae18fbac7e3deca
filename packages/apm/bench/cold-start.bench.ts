import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';

const run = promisify(execFile);
const dist = join(import.meta.dirname, '../dist/index.js');

/** Milliseconds of processor time that a script takes in a fresh process, beyond the process itself. */
async function coldMs(script: string): Promise<number> {
  const code = `const before = process.cpuUsage(); ${script}; const { user, system } = process.cpuUsage(before); console.log((user + system) / 1000)`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code]);
  return Number(stdout);
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'cold-start',
  async run(context) {
    const load = `const { PerformanceMonitoringManager } = await import(${JSON.stringify(dist)})`;
    await context.limit({
      bar: 'A1',
      name: "import '@mnops/apm' (built) in a fresh process",
      unit: 'ms CPU',
      limit: 15,
      runs: 10,
      measure: () => coldMs(load),
    });
    await context.compare({
      bar: 'A1',
      name: 'import, start, first trace with its baseline and map',
      unit: 'ms CPU',
      kind: 'cost',
      goal: 1,
      peer: 'sdk-trace-base 2.12, import and first span',
      ours: () =>
        coldMs(
          `${load}; const apm = new PerformanceMonitoringManager({ service: 'cold' }); await apm.start(); ` +
            `apm.trace('first', () => 1); apm.baselines(); apm.serviceMap(); await apm.stop()`,
        ),
      theirs: () =>
        coldMs(
          `const { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/sdk-trace-base'))}); ` +
            'const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(new InMemorySpanExporter())] }); ' +
            "provider.getTracer('cold').startSpan('first').end(); await provider.shutdown()",
        ),
      runs: 10,
    });
  },
});

export default suite;
