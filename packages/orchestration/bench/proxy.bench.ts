import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';

interface Part {
  readonly child: ChildProcess;
  line(): Promise<string>;
}

function start(file: string, ...args: string[]): Part {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const conditions = process.execArgv.filter((argument) => argument.startsWith('--conditions'));
  const child = spawn(process.execPath, [...conditions, '--import', 'tsx', path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, line: async () => String((await lines.next()).value) };
}

interface LoadFigures {
  readonly answered: number;
  readonly failed: number;
  readonly p99Ms: number;
}

async function load(port: string, clients: number, requests: number, pauseMs = 0): Promise<LoadFigures> {
  const part = start('./load-process.ts', port, String(clients), String(requests), String(pauseMs));
  const figures = JSON.parse(await part.line()) as LoadFigures;
  part.child.kill();
  if (figures.failed > 0) throw new Error(`${figures.failed} requests of the load failed.`);
  return figures;
}

async function run(context: BenchContext): Promise<void> {
  const requests = Number(context.args['requests'] ?? 15_000);
  const backend = start('./backend-process.ts');
  const backendPort = await backend.line();
  const proxies = new Map<string, { readonly part: Part; readonly port: string }>();
  for (const kind of ['mnops', 'http-proxy']) {
    const part = start('./proxy-process.ts', kind, backendPort);
    proxies.set(kind, { part, port: await part.line() });
    await load(proxies.get(kind)!.port, 32, 3_000);
  }
  const cpuMs = async (kind: string): Promise<number> => {
    const { part } = proxies.get(kind)!;
    part.child.stdin?.write('cpu\n');
    return Number.parseFloat(await part.line());
  };
  const microseconds = async (kind: string): Promise<number> => {
    const before = await cpuMs(kind);
    await load(proxies.get(kind)!.port, 32, requests);
    return (((await cpuMs(kind)) - before) * 1_000) / requests;
  };
  try {
    await context.compare({
      bar: 'B5',
      name: 'proxy CPU per request, 1 KiB GET over 32 connections',
      unit: 'µs',
      kind: 'cost',
      goal: 2,
      ours: () => microseconds('mnops'),
      peer: 'http-proxy 1.18.1',
      theirs: () => microseconds('http-proxy'),
    });
    await context.limit({
      bar: 'B5',
      name: 'proxy, p99 added to a direct request at about 1,000 requests a second',
      unit: 'ms',
      limit: 1,
      measure: async () => {
        const direct = await load(backendPort, 8, 3_000, 7);
        const proxied = await load(proxies.get('mnops')!.port, 8, 3_000, 7);
        return Math.max(0, proxied.p99Ms - direct.p99Ms);
      },
    });
  } finally {
    for (const { part } of proxies.values()) part.child.kill();
    backend.child.kill();
  }
}

const suite: BenchSuite = defineBench({ package: 'orchestration', suite: 'proxy', run });
export default suite;
