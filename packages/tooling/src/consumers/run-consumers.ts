import { join } from 'node:path';
import { runProgram } from '../parts/program.js';
import { part } from '../parts/registry.js';
import type { InstalledConsumers } from './install.js';

/** One consumer on one Node. */
export interface ConsumerRun {
  readonly name: string;
  run(): Promise<{ readonly ok: boolean; readonly output: string }>;
}

/** A Node that a consumer runs on, or the line that would bring it. */
interface Runtime {
  readonly name: string;
  readonly path: string;
}

/** Every consumer in order: without optional peers on each Node that is here, then with them; the types once. */
export function consumerRuns({ folder, addPeers }: InstalledConsumers): readonly ConsumerRun[] {
  const others = (['node22', 'node24'] as const).map((id) => part(id)).filter(({ available }) => available);
  const runtimes: readonly Runtime[] = [
    { name: `Node ${process.versions.node}`, path: process.execPath },
    ...others.map(({ version, path }) => ({ name: `Node ${version}`, path })),
  ];
  const program = (name: string, runtime: Runtime, ...args: string[]): ConsumerRun => ({
    name: `${name} on ${runtime.name}`,
    run: async () => {
      const { code, stdout, stderr } = await runProgram(runtime.path, args, { cwd: folder, env: { NODE_OPTIONS: '' } });
      return { ok: code === 0, output: `${stdout}${stderr}` };
    },
  });
  const first = runtimes[0] ?? { name: 'Node', path: process.execPath };
  const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
  const installPeers: ConsumerRun = {
    name: 'optional peers install beside the packages',
    run: async () => {
      await addPeers();
      return { ok: true, output: '' };
    },
  };
  return [
    program('bundled (build)', first, 'bundled/build.mjs'),
    ...runtimes.flatMap((runtime) => [
      program('esm', runtime, 'esm/index.mjs'),
      program('cjs', runtime, '--no-experimental-require-module', 'cjs/index.cjs'),
      program('two copies', runtime, 'two-copies/index.mjs'),
      program('bundled', runtime, 'bundled/out/program.cjs'),
    ]),
    installPeers,
    program('esm with peers', first, 'esm/index.mjs'),
    program('cjs with peers', first, '--no-experimental-require-module', 'cjs/index.cjs'),
    ...['node16', 'nodenext', 'bundler'].map((resolution) =>
      program(`types ${resolution}`, first, tsc, '-p', `types/tsconfig.${resolution}.json`),
    ),
  ];
}
