import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** One bench or campaign file. */
export interface SuiteFile {
  /** Folder name of the package or example. */
  readonly owner: string;
  /** File name without its ending: the suite's name. */
  readonly suite: string;
  readonly file: string;
}

/** Every suite file of a kind: `packages/<name>/bench/<suite>.bench.ts`, `examples/<name>/prove/<suite>.prove.ts`. */
export function findSuites(root: string, kind: 'bench' | 'prove'): readonly SuiteFile[] {
  const ending = `.${kind}.ts`;
  return ['packages', 'examples'].flatMap((group) =>
    namesIn(join(root, group)).flatMap((owner) =>
      namesIn(join(root, group, owner, kind))
        .filter((name) => name.endsWith(ending))
        .map((name) => ({
          owner,
          suite: name.slice(0, -ending.length),
          file: join(root, group, owner, kind, name),
        })),
    ),
  );
}

/** The suites that were named; all when nothing was named. A name that fits nothing is an error that lists the known ones. */
export function selectSuites(all: readonly SuiteFile[], names: readonly string[]): readonly SuiteFile[] {
  const fits = ({ owner, suite }: SuiteFile, name: string): boolean => name === owner || name === `${owner}:${suite}`;
  const unknown = names.filter((name) => !all.some((suite) => fits(suite, name)));
  if (unknown.length > 0) {
    const known = all.map(({ owner, suite }) => `${owner}:${suite}`).join(', ');
    throw new Error(`No suite is named ${unknown.join(', ')}. There are: ${known === '' ? 'none' : known}.`);
  }
  return names.length === 0 ? all : all.filter((suite) => names.some((name) => fits(suite, name)));
}

/** Names of suites as a command line takes them, a line for each package or example. */
export function suiteNames(all: readonly SuiteFile[]): string {
  const owners = [...new Set(all.map(({ owner }) => owner))];
  const namesOf = (name: string) => all.filter(({ owner }) => owner === name).map(({ suite }) => `${name}:${suite}`);
  return owners.map((owner) => `  ${namesOf(owner).join(' ')}`).join('\n');
}

function namesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
