import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';
import { type ExitReceiver, exitReceiver } from './exit-receiver.js';

const require = createRequire(import.meta.url);
const dist = join(import.meta.dirname, '../dist');
const spans = 100;

/** A program: set up as its documentation says, without code of its own for the end of the process. */
type Program = (url: string, folder: string) => string;

const otlpPeer: Program = (url) => `
  const { BasicTracerProvider, BatchSpanProcessor } = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/sdk-trace-base'))});
  const { OTLPTraceExporter } = await import(${JSON.stringify(import.meta.resolve('@opentelemetry/exporter-trace-otlp-http'))});
  const exporter = new OTLPTraceExporter({ url: '${url}/v1/traces' });
  const tracer = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] }).getTracer('exits');
  const work = (name) => tracer.startSpan(name).end();`;
const datadogPeer: Program = (url) => `
  const { default: tracer } = await import(${JSON.stringify(require.resolve('dd-trace'))});
  tracer.init({ startupLogs: false, plugins: false, url: '${url}' });
  const work = (name) => tracer.startSpan(name).finish();`;
const elasticPeer: Program = (url) => `
  const { default: agent } = await import(${JSON.stringify(require.resolve('elastic-apm-node'))});
  agent.start({ serviceName: 'exits', serverUrl: '${url}', logLevel: 'off', instrument: false, centralConfig: false, cloudProvider: 'none', metricsInterval: '0s' });
  const work = (name) => agent.startTransaction(name).end();`;
const own: Program = (url, folder) => `
  const { PerformanceMonitoringManager } = await import(${JSON.stringify(join(dist, 'index.js'))});
  const { otlp } = await import(${JSON.stringify(join(dist, 'otlp.js'))});
  const exporters = [otlp({ url: '${url}', protocol: 'json' })];
  const apm = new PerformanceMonitoringManager({ service: 'exits', folder: ${JSON.stringify(folder)}, processHooks: true, exporters });
  await apm.start();
  const work = (name) => apm.trace(name, () => undefined);`;

const peers: Readonly<Record<string, Program>> = {
  'sdk-trace-base 2.12 with its batch processor and OTLP exporter': otlpPeer,
  'dd-trace 5.132': datadogPeer,
  'elastic-apm-node 4.18': elasticPeer,
};

/** How the process ends once its spans have. */
const modes = {
  'by itself': '',
  'by process.exit': 'process.exit(3)',
  'by an uncaught error': "setImmediate(() => { throw new Error('of the program itself') })",
  'by SIGTERM': "setInterval(() => undefined, 1_000); process.stdout.write('ready\\n')",
} as const;

async function run(script: string): Promise<void> {
  const env = {
    ...process.env,
    DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
    DD_REMOTE_CONFIGURATION_ENABLED: 'false',
  };
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.stdout?.on('data', (chunk) => {
    if (String(chunk).includes('ready')) child.kill('SIGTERM');
  });
  // Where retries hold a process up, it has had its time.
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  await once(child, 'close');
  clearTimeout(timer);
}

/** Spans that have arrived once the process has ended, a receiver that was away has come back, and the next process has run. */
async function arrived(program: Program, end: string, isAway: boolean): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-exits-'));
  const receiver: ExitReceiver = await exitReceiver();
  try {
    if (!isAway) await receiver.up();
    const begin = program(receiver.url, folder);
    await run(`${begin}\nfor (let i = 0; i < ${spans}; i += 1) work('work');\n${end}`);
    await receiver.up();
    if (receiver.count < spans) await run(begin);
    return receiver.count;
  } finally {
    await receiver.down();
    await rm(folder, { recursive: true, force: true });
  }
}

const suite: BenchSuite = defineBench({
  package: 'apm',
  suite: 'exits',
  async run({ compare }) {
    for (const isAway of [false, true]) {
      for (const [mode, end] of Object.entries(modes)) {
        let measured: Promise<number> | undefined;
        const ours = (): Promise<number> => {
          measured ??= arrived(own, end, isAway);
          return measured;
        };
        const where = isAway ? 'receiver away until then' : 'receiver there';
        for (const [peer, program] of Object.entries(peers)) {
          await compare({
            bar: 'A2',
            name: `${spans} spans of a process that ends ${mode}, ${where}; the next process included`,
            unit: 'spans arrive',
            kind: 'throughput',
            goal: 1,
            runs: 1,
            peer,
            ours,
            theirs: async () => await arrived(program, end, isAway),
          });
        }
      }
    }
  },
});

export default suite;
