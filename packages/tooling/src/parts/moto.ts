import type { Part } from './part.js';
import { pypiPart } from './pypi.js';
import { type RunningServer, startServer } from './server.js';

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
  const found = pypiPart({ id: 'moto', program: 'moto_server', requirement: 'moto[server]', version: '5.2.5' });
  return {
    id: 'moto',
    purpose: 'core: object store on S3; secrets: AWS protocols',
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
