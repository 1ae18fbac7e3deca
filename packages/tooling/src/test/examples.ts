import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProgramOptions, runProgram } from '../parts/program.js';
import { repositoryRoot } from '../repository.js';
import { readmePrograms } from './readme-programs.js';
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

/** Packages whose READMEs can be pasted: every block runs, or says what it needs. */
const pasted = ['apm'];

/** Every block of those READMEs, as a reader would paste it into a new file beside the installed packages. */
export function readmeTrials(): readonly Trial[] {
  return pasted.flatMap((name) => {
    const { programs, files } = readmePrograms(
      readFileSync(join(repositoryRoot, 'packages', name, 'README.md'), 'utf8'),
    );
    return programs.map(({ line, text }) => ({
      name: `packages/${name}/README.md:${line}`,
      run: async () => {
        const folder = mkdtempSync(join(tmpdir(), 'mnops-readme-'));
        try {
          const all = [...files, ['program.ts', text] as const, ['package.json', '{ "type": "module" }'] as const];
          for (const [file, content] of all) writeFileSync(join(folder, file), content);
          mkdirSync(join(folder, 'node_modules'));
          // The packages alone: no other one of the repository helps.
          for (const scope of ['@mnops', '@opentelemetry']) {
            symlinkSync(join(repositoryRoot, 'node_modules', scope), join(folder, 'node_modules', scope));
          }
          return await alone(['--import', import.meta.resolve('tsx'), join(folder, 'program.ts')], {
            timeoutMs: 60_000,
          });
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
    }));
  });
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
