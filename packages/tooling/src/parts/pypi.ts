import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder, findOnPath, isProgram } from './part.js';
import { askProgram, printed, runProgram } from './program.js';

/** A program of a package on PyPI. */
export interface PypiProgram {
  /** Folder name in the cache of the virtual environment that it is installed into. */
  readonly id: string;
  readonly program: string;
  /** What pip installs, without a version, such as `moto[server]`. */
  readonly requirement: string;
  /** Version that the tests are written against. */
  readonly version: string;
}

/** What a part made of such a program has in common with others. */
export interface PypiPart {
  /** Path of the program; empty when it is not available. */
  readonly path: string;
  readonly available: boolean;
  readonly version: string | undefined;
  readonly installLine: string;
  install(progress: (text: string) => void): Promise<void>;
}

/** Finds the program in the user's cache, else on `PATH`; installs it into the cache. */
export function pypiPart({ id, program, requirement, version }: PypiProgram): PypiPart {
  const folder = join(cacheFolder(), id);
  const cached = join(folder, 'bin', program);
  const path = isProgram(cached) ? cached : (findOnPath(program) ?? '');
  const distribution = requirement.split('[', 1)[0];
  return {
    path,
    available: path !== '',
    get version() {
      if (path === '') return undefined;
      // Not every program has an option for it.
      const script = `from importlib.metadata import version; print(version("${distribution}"))`;
      return askProgram(join(dirname(path), 'python3'), ['-c', script], /\d+\.\d+\.\d+/);
    },
    installLine: `npm run parts -- install ${id}   (needs python3 with venv)`,
    async install(progress) {
      mkdirSync(folder, { recursive: true });
      progress(`python3 -m venv ${folder}`);
      const limits = { timeoutMs: 600_000 };
      printed(await runProgram('python3', ['-m', 'venv', folder], limits), 'python3 -m venv');
      progress(`pip install ${requirement}==${version} (about a minute)`);
      const args = ['install', '--quiet', `${requirement}==${version}`];
      printed(await runProgram(join(folder, 'bin', 'pip'), args, limits), 'pip install');
    },
  };
}
