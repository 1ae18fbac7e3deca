import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../parts/program.js';
import { publishedPackages, repositoryRoot } from '../repository.js';

/** The consumers, copied and with the tarballs installed. */
export interface InstalledConsumers {
  readonly folder: string;
  remove(): void;
}

interface Subpath {
  /** What a user writes, such as `@mnops/core/spi`. */
  readonly specifier: string;
  readonly typesOnly: boolean;
}

/** Copies `examples/consumers` to a temporary folder and installs the tarballs there, without optional peers. */
export async function installConsumers(tarballs: ReadonlyMap<string, string>): Promise<InstalledConsumers> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-consumers-'));
  cpSync(join(repositoryRoot, 'examples', 'consumers'), folder, { recursive: true });
  const ours = [...tarballs].map(([id, file]) => [`@mnops/${id}`, `file:${file}`]);
  const tools = ['@types/node', 'esbuild', 'typescript'].map((name) => [name, versionOf(name)]);
  const manifest = { name: 'consumers', private: true, dependencies: Object.fromEntries([...ours, ...tools]) };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  const subpaths = publishedPackages.flatMap(subpathsOf);
  writeFileSync(join(folder, 'subpaths.json'), JSON.stringify(subpaths, null, 2));
  const imports = subpaths.map(({ specifier }, index) => `export * as part${index} from '${specifier}';\n`);
  writeFileSync(join(folder, 'types', 'every-subpath.ts'), imports.join(''));
  // The types are a project of ES modules; the programs beside it say what they are by their endings.
  writeFileSync(join(folder, 'types', 'package.json'), '{ "type": "module" }\n');
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const { code, stdout, stderr } = await runProgram('npm', args, { cwd: folder, timeoutMs: 300_000 });
  if (code !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`npm could not install the tarballs:\n${stdout}${stderr}`);
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function subpathsOf(id: string): readonly Subpath[] {
  const file = join(repositoryRoot, 'packages', id, 'package.json');
  const { exports } = JSON.parse(readFileSync(file, 'utf8')) as { readonly exports: Readonly<Record<string, unknown>> };
  return Object.keys(exports)
    .filter((subpath) => subpath !== './package.json')
    .map((subpath) => ({
      specifier: `@mnops/${id}${subpath.slice(1)}`,
      typesOnly: id === 'core' && subpath === './spi',
    }));
}

function versionOf(name: string): string {
  const file = join(repositoryRoot, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}
