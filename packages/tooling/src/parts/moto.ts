import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder, findOnPath, isProgram, type Part } from './part.js';
import { askProgram, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** Version that the tests are written against. */
const motoVersion = '5.2.5';

// moto_server has no version option.
const versionScript = 'from importlib.metadata import version; print(version("moto"))';

/** A running moto: the AWS protocols, in memory. */
export interface MotoServer extends RunningServer {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Forgets everything that was stored. */
  reset(): Promise<void>;
}

/** moto, a stand-in for AWS. */
export interface MotoPart extends Part {
  readonly id: 'moto';
  /** Path of `moto_server`; empty when it is not available. */
  readonly path: string;
  start(): Promise<MotoServer>;
}

export function moto(): MotoPart {
  const folder = join(cacheFolder(), 'moto');
  const cached = join(folder, 'bin', 'moto_server');
  const path = isProgram(cached) ? cached : (findOnPath('moto_server') ?? '');
  return {
    id: 'moto',
    purpose: 'core: object store on S3; secrets: AWS protocols',
    available: path !== '',
    get version() {
      return path === ''
        ? undefined
        : askProgram(join(dirname(path), 'python3'), ['-c', versionScript], /\d+\.\d+\.\d+/);
    },
    installLine: 'npm run parts -- install moto   (needs python3 with venv)',
    install: (progress) => install(folder, progress),
    path,
    start: () => start(path),
  };
}

async function install(folder: string, progress: (text: string) => void): Promise<void> {
  mkdirSync(folder, { recursive: true });
  progress(`python3 -m venv ${folder}`);
  await must('python3', ['-m', 'venv', folder]);
  progress(`pip install moto[server]==${motoVersion} (about a minute)`);
  await must(join(folder, 'bin', 'pip'), ['install', '--quiet', `moto[server]==${motoVersion}`]);
}

async function must(program: string, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram(program, args, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed (${code}):\n${stdout}${stderr}`);
}

async function start(path: string): Promise<MotoServer> {
  const server = await startServer({
    id: 'moto',
    program: path,
    args: ({ port }) => ['-H', '127.0.0.1', '-p', String(port)],
    readyPath: '/moto-api/data.json',
  });
  return {
    ...server,
    region: 'us-east-1',
    credentials: { accessKeyId: 'moto-access-key', secretAccessKey: 'moto-secret-key' },
    reset: async () => {
      const response = await fetch(`${server.url}/moto-api/reset`, { method: 'POST' });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`moto did not reset: status ${response.status}`);
    },
  };
}
