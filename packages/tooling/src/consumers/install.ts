import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../parts/program.js';
import { publishedPackages, repositoryRoot } from '../repository.js';

/** The consumers, copied and with the tarballs installed. */
export interface InstalledConsumers {
  readonly folder: string;
  /** Installs the optional peers that some subpaths are made for, and adds those subpaths to the list. */
  addPeers(): Promise<void>;
  remove(): void;
}

interface Subpath {
  /** What a user writes, such as `@mnops/core/spi`. */
  readonly specifier: string;
  readonly typesOnly: boolean;
  /** Optional peers, with version, that the subpath is made for and imports at once. */
  readonly needs: readonly string[];
}

interface PackageManifest {
  readonly exports: Readonly<Record<string, string | { readonly import?: { readonly default?: string } }>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Copies `examples/consumers` to a temporary folder and installs the tarballs there, without optional peers. */
export async function installConsumers(tarballs: ReadonlyMap<string, string>): Promise<InstalledConsumers> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-consumers-'));
  cpSync(join(repositoryRoot, 'examples', 'consumers'), folder, { recursive: true });
  const ours = [...tarballs].map(([id, file]) => [`@mnops/${id}`, `file:${file}`]);
  const tools = ['@types/node', 'esbuild', 'typescript'].map((name) => [name, versionOf(name)]);
  const manifest = { name: 'consumers', private: true, dependencies: Object.fromEntries([...ours, ...tools]) };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  // The types are a project of ES modules; the programs beside it say what they are by their endings.
  writeFileSync(join(folder, 'types', 'package.json'), '{ "type": "module" }\n');
  const subpaths = publishedPackages.flatMap(subpathsOf);
  writeSubpaths(
    folder,
    subpaths.filter(({ needs }) => needs.length === 0),
  );
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    await npmInstall(folder, []);
  } catch (error) {
    remove();
    throw error;
  }
  const addPeers = async (): Promise<void> => {
    const peers = [...new Set(subpaths.flatMap(({ needs }) => needs))];
    if (peers.length > 0) await npmInstall(folder, peers);
    writeSubpaths(folder, subpaths);
  };
  return { folder, addPeers, remove };
}

async function npmInstall(folder: string, names: readonly string[]): Promise<void> {
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const { code, stdout, stderr } = await runProgram('npm', ['install', ...names, ...options], {
    cwd: folder,
    timeoutMs: 300_000,
  });
  if (code !== 0) throw new Error(`npm could not install the tarballs:\n${stdout}${stderr}`);
}

function writeSubpaths(folder: string, subpaths: readonly Subpath[]): void {
  writeFileSync(join(folder, 'subpaths.json'), JSON.stringify(subpaths, null, 2));
  const imports = subpaths.map(({ specifier }, index) => `export * as part${index} from '${specifier}';\n`);
  writeFileSync(join(folder, 'types', 'every-subpath.ts'), imports.join(''));
}

function subpathsOf(id: string): readonly Subpath[] {
  const folder = join(repositoryRoot, 'packages', id);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageManifest;
  return Object.entries(manifest.exports).flatMap(([subpath, target]): Subpath[] => {
    if (typeof target === 'string') return [];
    const built = readFileSync(join(folder, target.import?.default ?? ''), 'utf8');
    const needs = optionalPeers(manifest).filter((name) => new RegExp(`from ?["']${name}["'/]`).test(built));
    const specifier = `@mnops/${id}${subpath.slice(1)}`;
    const versions = needs.map((name) => `${name}@${manifest.devDependencies?.[name] ?? 'latest'}`);
    return [{ specifier, typesOnly: specifier === '@mnops/core/spi', needs: versions }];
  });
}

function optionalPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: PackageManifest): readonly string[] {
  return Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional === true);
}

function versionOf(name: string): string {
  const file = join(repositoryRoot, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}
