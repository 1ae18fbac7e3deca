import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder, findOnPath, isProgram, type Part } from './part.js';
import { askProgram, printed, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** Version that the tests are written against. */
const agentVersion = '1.69.1';
const versionScript = 'from importlib.metadata import version; print(version("ddapm-test-agent"))';

// What it holds a tracer to; none is on unless it is named.
const checks = [
  'trace_count_header',
  'meta_tracer_version_header',
  'trace_content_length',
  'trace_stall',
  'trace_peer_service',
  'meta_events_is_valid_json',
  'trace_dd_service',
];

/** A running test agent: takes what a Datadog agent takes, and judges it. */
export interface DdapmServer extends RunningServer {
  /** One GET of its API, parsed. */
  get(path: string): Promise<unknown>;
  /** What its checks found wrong so far, as text; empty when nothing was. */
  failures(): Promise<string>;
}

/** Datadog's own test agent. */
export interface DdapmPart extends Part {
  readonly id: 'ddapm';
  /** Path of `ddapm-test-agent`; empty when it is not available. */
  readonly path: string;
  start(): Promise<DdapmServer>;
}

export function ddapm(): DdapmPart {
  const folder = join(cacheFolder(), 'ddapm');
  const cached = join(folder, 'bin', 'ddapm-test-agent');
  const path = isProgram(cached) ? cached : (findOnPath('ddapm-test-agent') ?? '');
  return {
    id: 'ddapm',
    purpose: 'apm: what a Datadog agent takes',
    available: path !== '',
    get version() {
      return path === ''
        ? undefined
        : askProgram(join(dirname(path), 'python3'), ['-c', versionScript], /\d+\.\d+\.\d+/);
    },
    installLine: 'npm run parts -- install ddapm   (needs python3 with venv)',
    install: (progress) => install(folder, progress),
    path,
    start: () => start(path),
  };
}

async function install(folder: string, progress: (text: string) => void): Promise<void> {
  mkdirSync(folder, { recursive: true });
  progress(`python3 -m venv ${folder}`);
  printed(await runProgram('python3', ['-m', 'venv', folder], { timeoutMs: 600_000 }), 'python3 -m venv');
  progress(`pip install ddapm-test-agent==${agentVersion} (about a minute)`);
  const args = ['install', '--quiet', `ddapm-test-agent==${agentVersion}`];
  printed(await runProgram(join(folder, 'bin', 'pip'), args, { timeoutMs: 600_000 }), 'pip install');
}

async function start(path: string): Promise<DdapmServer> {
  const server = await startServer({
    id: 'ddapm',
    program: path,
    args: ({ port }) => ['--port', String(port)],
    // Without pooling it forgets what it found.
    env: () => ({ ENABLED_CHECKS: checks.join(','), DD_POOL_TRACE_CHECK_FAILURES: 'true' }),
    readyPath: '/info',
  });
  const ask = async (path: string): Promise<Response> =>
    await fetch(`${server.url}${path}`, { signal: AbortSignal.timeout(30_000) });
  return {
    ...server,
    get: async (path) => {
      const response = await ask(path);
      if (!response.ok) throw new Error(`The test agent answered ${path} with ${response.status}.`);
      return await response.json();
    },
    failures: async () => {
      const response = await ask('/test/trace_check/failures');
      const text = await response.text();
      return response.ok ? '' : text;
    },
  };
}
