import type { Part } from './part.js';
import { pypiPart } from './pypi.js';
import { freePort, type RunningServer, startServer } from './server.js';

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
  const name = 'ddapm-test-agent';
  const found = pypiPart({ id: 'ddapm', program: name, requirement: name, version: '1.69.1' });
  return {
    id: 'ddapm',
    purpose: 'apm: what a Datadog agent takes',
    available: found.available,
    get version() {
      return found.version;
    },
    installLine: found.installLine,
    install: found.install,
    path: found.path,
    start: () => start(found.path),
  };
}

async function start(path: string): Promise<DdapmServer> {
  // It listens for OTLP, too, on ports that another receiver may have.
  const [otlpHttp, otlpGrpc] = [String(await freePort()), String(await freePort())];
  const server = await startServer({
    id: 'ddapm',
    program: path,
    args: ({ port }) => [
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--otlp-http-port', otlpHttp, '--otlp-grpc-port', otlpGrpc],
    ],
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
