import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, findOnPath, type Part } from './part.js';
import { printed, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** Version that the tests are written against; it needs Java 17. */
const zipkinVersion = '3.5.1';
const copyGoal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';

/** A running Zipkin: its API and page, spans in memory. */
export interface ZipkinServer extends RunningServer {
  /** One GET of its API: the parsed answer, or `undefined` for 404. Any other status of 400 or more is an error. */
  get(path: string): Promise<unknown>;
}

/** Zipkin, which takes spans and draws who depends on whom. */
export interface ZipkinPart extends Part {
  readonly id: 'zipkin';
  start(): Promise<ZipkinServer>;
}

export function zipkin(): ZipkinPart {
  const folder = join(cacheFolder(), 'zipkin');
  const archive = join(folder, `zipkin-server-${zipkinVersion}-exec.jar`);
  const java = findOnPath('java');
  const available = java !== undefined && existsSync(archive);
  return {
    id: 'zipkin',
    purpose: 'apm: spans and dependencies as Zipkin sees them',
    available,
    version: available ? zipkinVersion : undefined,
    installLine: 'npm run parts -- install zipkin   (needs java 17 and mvn; 131 MB)',
    install: (progress) => install(folder, progress),
    start: () => start(java ?? '', archive),
  };
}

async function install(folder: string, progress: (text: string) => void): Promise<void> {
  if (findOnPath('java') === undefined) throw new Error('zipkin needs java 17 or newer; put `java` on the PATH.');
  mkdirSync(folder, { recursive: true });
  const artifact = `io.zipkin:zipkin-server:${zipkinVersion}:jar:exec`;
  progress(`mvn dependency:copy of ${artifact} (131 MB)`);
  const args = ['-q', '-B', copyGoal, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`];
  printed(await runProgram('mvn', args, { cwd: folder, timeoutMs: 900_000 }), 'mvn');
}

async function start(java: string, archive: string): Promise<ZipkinServer> {
  const server = await startServer({
    id: 'zipkin',
    program: java,
    // QUERY_PORT alone would listen on every interface.
    args: ({ port }) => [
      ...['-Xmx256m', '-jar', archive, `--armeria.ports[0].port=${port}`],
      ...['--armeria.ports[0].ip=127.0.0.1', '--armeria.ports[0].protocols[0]=http'],
    ],
    env: () => ({ STORAGE_TYPE: 'mem', SELF_TRACING_ENABLED: 'false' }),
    // Only Zipkin answers so: another process may have taken the port meanwhile.
    readyPath: async ({ port }) => {
      const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(5_000) });
      return (await response.text()).includes('zipkin') && response.ok;
    },
    // About 8 s on an idle machine.
    readyMs: 180_000,
  });
  return {
    ...server,
    get: async (path) => {
      const response = await fetch(`${server.url}${path}`, { signal: AbortSignal.timeout(30_000) });
      const text = await response.text();
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`Zipkin answered ${path} with ${response.status}: ${text}`);
      return JSON.parse(text);
    },
  };
}
