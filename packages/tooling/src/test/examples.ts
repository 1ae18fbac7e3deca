import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProgramOptions, runProgram } from '../parts/program.js';
import { repositoryRoot } from '../repository.js';
import type { Trial } from './section.js';

/** Every snippet: it must end with exit code 0, in a folder and a home of its own. */
export function snippetTrials(): readonly Trial[] {
  const root = join(repositoryRoot, 'examples', 'snippets');
  const packages = readdirSync(root, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !['node_modules', 'dist'].includes(entry.name),
  );
  return packages.flatMap(({ name }) =>
    readdirSync(join(root, name))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => ({
        name: `${name}/${file}`,
        run: () => alone(['--import', import.meta.resolve('tsx'), join(root, name, file)], { timeoutMs: 120_000 }),
      })),
  );
}

/** The shop in both variants, as `npm run demo` runs it. */
export function demoTrials(): readonly Trial[] {
  const operator = join(repositoryRoot, 'examples', 'shop', 'dist', 'operator.js');
  const variant = (args: readonly string[]): Trial => ({
    name: ['npm run demo', ...args].join(' '),
    skip: existsSync(operator) ? undefined : 'the shop has no operator',
    run: async () => {
      const { code, stdout, stderr } = await runProgram(process.execPath, [operator, ...args.slice(1)], {
        cwd: repositoryRoot,
        timeoutMs: 300_000,
      });
      return { ok: code === 0, output: `${stdout}${stderr}` };
    },
  });
  return [variant([]), variant(['--', '--healthy'])];
}

async function alone(args: readonly string[], options: ProgramOptions): ReturnType<Trial['run']> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-snippet-'));
  try {
    const { code, stdout, stderr } = await runProgram(process.execPath, args, {
      ...options,
      cwd: folder,
      env: { HOME: folder, XDG_CONFIG_HOME: join(folder, '.config'), NODE_OPTIONS: undefined },
    });
    return { ok: code === 0, output: code === 0 ? '' : `exit code ${code}\n${stdout}${stderr}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
