import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheFolder, isProgram, type Part } from './part.js';
import { askProgram, runProgram } from './program.js';
import { freePort, type RunningServer, startServer } from './server.js';

/** The last version whose module resolves by itself. */
const version = '1.65.0';
const command = 'github.com/jaegertracing/jaeger/cmd/all-in-one';

/** A running Jaeger that keeps traces in memory. */
export interface JaegerServer extends RunningServer {
  /** Base address of its OTLP/HTTP receiver. */
  readonly otlpUrl: string;
  /** Asks its query service until the answer is as wanted; at most 20 seconds. */
  ask<T>(path: string, wanted: (answer: T) => boolean): Promise<T>;
}

/** Jaeger's collector, store and query service in one program, for tests only. */
export interface JaegerPart extends Part {
  readonly id: 'jaeger';
  start(): Promise<JaegerServer>;
}

export function jaeger(): JaegerPart {
  const folder = join(cacheFolder(), 'jaeger');
  const program = join(folder, 'bin', 'jaeger');
  const available = isProgram(program);
  return {
    id: 'jaeger',
    purpose: 'apm: takes spans by OTLP, shows traces and their map',
    available,
    get version() {
      // Built from the module it has no version of its own to tell.
      return available && askProgram(program, ['version'], /gitVersion/) !== undefined ? version : undefined;
    },
    installLine: 'npm run parts -- install jaeger   (needs go 1.25 or newer; some minutes)',
    install: (progress) => install(folder, progress),
    start: () => start(program),
  };
}

async function install(folder: string, progress: (text: string) => void): Promise<void> {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'go.mod'), 'module mnops.test/jaeger\n\ngo 1.25.0\n');
  progress(`go get ${command}@v${version}`);
  await go(folder, ['get', `${command}@v${version}`]);
  progress('go build (some minutes the first time)');
  await go(folder, ['build', '-p', '2', '-mod=mod', '-o', join('bin', 'jaeger.new'), command]);
  renameSync(join(folder, 'bin', 'jaeger.new'), join(folder, 'bin', 'jaeger'));
}

async function go(folder: string, args: readonly string[]): Promise<void> {
  const env = { CGO_ENABLED: '0', GOFLAGS: undefined };
  const { code, stderr } = await runProgram('nice', ['-n', '19', 'go', ...args], {
    cwd: folder,
    env,
    timeoutMs: 3_600_000,
  });
  if (code !== 0) throw new Error(`go ${args.join(' ')} failed (${code}):\n${stderr.slice(-4_000)}`);
}

async function start(program: string): Promise<JaegerServer> {
  const [otlpHttp, otlpGrpc] = [await freePort(), await freePort()];
  // Every port of its own: two tests may run at the same time.
  const others = ['admin.http', 'collector.http-server', 'collector.grpc-server', 'query.grpc-server'];
  const ports = await Promise.all(others.map(async (name) => `--${name}.host-port=127.0.0.1:${await freePort()}`));
  const server = await startServer({
    id: 'jaeger',
    program,
    args: ({ port }) => [
      '--collector.otlp.enabled=true',
      `--collector.otlp.http.host-port=127.0.0.1:${otlpHttp}`,
      `--collector.otlp.grpc.host-port=127.0.0.1:${otlpGrpc}`,
      `--query.http-server.host-port=127.0.0.1:${port}`,
      ...ports,
    ],
    env: () => ({ SPAN_STORAGE_TYPE: 'memory' }),
    readyPath: '/api/services',
  });
  return {
    ...server,
    otlpUrl: `http://127.0.0.1:${otlpHttp}`,
    ask: (path, wanted) => ask(`${server.url}${path}`, wanted),
  };
}

async function ask<T>(url: string, wanted: (answer: T) => boolean): Promise<T> {
  const endsAt = performance.now() + 20_000;
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    const text = await response.text();
    if (response.ok && wanted(JSON.parse(text) as T)) return JSON.parse(text) as T;
    if (performance.now() > endsAt)
      throw new Error(`Jaeger answered ${url} with ${response.status}: ${text.slice(0, 500)}`);
    await delay(50);
  }
}
