import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSource, type SourceFile } from './source-file.js';

/** A `package.json`, as far as the rules look at it. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  /** Development dependencies of which the built files hold what is used; see `packageBuild`. */
  readonly heldDependencies?: readonly string[];
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly [field: string]: unknown;
}

/** One workspace: a package or an example. */
export interface Workspace {
  /** `packages/core`. */
  readonly folder: string;
  readonly group: 'packages' | 'examples';
  /** `core`. */
  readonly id: string;
  readonly manifest: Manifest;
  readonly files: readonly SourceFile[];
}

/** The whole repository, parsed. */
export interface SourceTree {
  readonly root: string;
  readonly workspaces: readonly Workspace[];
}

/** Something that a rule does not allow. */
export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line?: number | undefined;
  readonly text: string;
}

const skipped = new Set(['node_modules', 'dist', '.git', '.turbo', 'coverage', '.run', 'fixtures']);

/** Parses every workspace under `packages` and `examples`. */
export function readTree(root: string): SourceTree {
  const workspaces = (['packages', 'examples'] as const).flatMap((group) =>
    foldersIn(join(root, group)).flatMap((id): Workspace[] => {
      const folder = posix.join(group, id);
      const manifestFile = join(root, folder, 'package.json');
      if (!existsSync(manifestFile)) return [];
      const files = filesUnder(root, folder)
        .filter((path) => /\.[cm]?ts$/.test(path))
        .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
      return [{ folder, group, id, manifest: JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest, files }];
    }),
  );
  return { root, workspaces };
}

/** Paths of all files under a folder, from the root, without what is installed, built or a fixture. */
export function filesUnder(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(root, path) : [path];
  });
}

/** Whether a file is published code: in `src`, and not a test, a fake beside it or a domain's `testing` folder. */
export function isShipped({ path }: SourceFile): boolean {
  return /^packages\/[^/]+\/src\//.test(path) && !isTest(path);
}

export function isTest(path: string): boolean {
  const isTesting = /^packages\/(?!core\/)[^/]+\/src\/(.*\/)?testing\//.test(path);
  return isTesting || /\.(test|fake|bench|prove)\.ts$|\/(bench|prove)\//.test(path);
}

/** The file that a relative specifier means, if the workspace has it. */
export function resolveRelative(from: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(from.path), specifier).replace(/\.js$/, '.ts');
}

function foldersIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !skipped.has(entry.name))
    .map(({ name }) => name);
}
