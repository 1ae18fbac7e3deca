import { existsSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineConfig, type Options } from 'tsup';
import { rootInTwoPieces } from './root-in-two-pieces.js';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];
type Entries = Readonly<Record<string, string>>;
type ExportEntry = string | { readonly '@mnops/source'?: string; readonly import?: { readonly default: string } };

/** What the build of one package does beyond that of the others. */
export interface PackageBuildOptions {
  /**
   * Builds the root, and programs, apart from the subpaths: as two files, and parts that are loaded when they are used.
   * It shares no code with the subpaths then. For a root that would lie in many pieces otherwise. A program takes what the
   * root exports from `src/index.ts`.
   */
  readonly rootApart?: boolean;
}

/** Build configuration of one published package: every subpath of its export map and every program, as ESM and CJS with declarations. */
export function packageBuild(
  folder: string,
  { rootApart = false }: PackageBuildOptions = {},
): ReturnType<typeof defineConfig> {
  const { subpaths, programs, held } = contentsOf(folder);
  const entry = { ...subpaths, ...programs };
  const common: Options = {
    format: ['esm', 'cjs'],
    target: 'node20.19',
    platform: 'node',
    sourcemap: true,
    // Opening files is most of what an import costs: each root is one file, without what it does not use.
    noExternal: ['valibot', /^@mnops\/core/, ...held],
    // Reached only through `loadConfig` of core, which brings it.
    external: ['yaml'],
    esbuildOptions: (build) => {
      build.minifyWhitespace = true;
      build.minifySyntax = true;
      // Node shows the line of an error that nobody catches.
      build.lineLimit = 160;
      // Packages bring their sources, which the maps point to: a second copy of them would be most of an installation.
      build.sourcesContent = false;
      // Of a package in both formats the one whose unused parts can be left out.
      build.mainFields = ['module', 'main'];
      // Core from its source: its built files are pieces that cannot be taken apart so far.
      build.conditions = ['@mnops/source'];
    },
  };
  // `build:js` says --no-dts: the demo needs no declarations, and they are most of a build's time.
  const first: Options = { ...common, dts: { entry }, clean: true };
  const version = versionOnly(folder);
  const { index, ...others } = subpaths;
  // Nobody requires a program.
  const onSuccess = async (): Promise<void> => {
    for (const name of Object.keys(programs)) {
      for (const end of ['.cjs', '.cjs.map']) rmSync(join(folder, 'dist', name + end), { force: true });
    }
  };
  if (!rootApart || index === undefined) return defineConfig({ ...first, entry, esbuildPlugins: [version], onSuccess });
  let begin = (): void => undefined;
  const cleaned = new Promise<void>((resolve) => {
    begin = resolve;
  });
  return defineConfig([
    { ...first, entry: others, esbuildPlugins: [version, atStart(async () => begin())] },
    {
      ...common,
      entry: { index, ...programs },
      // It would claim the modules of Node before the plugin sees them.
      removeNodeProtocol: false,
      esbuildPlugins: [
        version,
        atStart(() => cleaned),
        builtinsWhenNeeded(),
        rootInTwoPieces({
          root: join(folder, index),
          programs: Object.values(programs).map((path) => join(folder, path)),
          held: ['valibot', '@mnops/core', ...held],
        }),
      ],
      onSuccess,
    },
  ]);
}

interface Contents {
  /** Sources of the export map, by the name of the built file. */
  readonly subpaths: Entries;
  readonly programs: Entries;
  /** Packages besides valibot and core of which the built files hold what is used. */
  readonly held: readonly string[];
}

/** What a manifest says about the build. */
function contentsOf(folder: string): Contents {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, ExportEntry>>;
    readonly bin?: Readonly<Record<string, string>>;
    readonly heldDependencies?: readonly string[];
  };
  const subpaths: Record<string, string> = {};
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === 'string' || target['@mnops/source'] === undefined || target.import === undefined) continue;
    // A subpath without a source is for the package check to report; it must not stop the build of the others.
    if (!existsSync(join(folder, target['@mnops/source']))) continue;
    subpaths[target.import.default.replace(/^\.\/dist\//, '').replace(/\.js$/, '')] = target['@mnops/source'];
  }
  const programs: Record<string, string> = {};
  // A program `dist/cli.js` is made from `src/cli/main.ts`.
  for (const target of Object.values(manifest.bin ?? {})) {
    const name = target.replace(/^\.?\/?dist\//, '').replace(/\.js$/, '');
    programs[name] = `src/${name}/main.ts`;
  }
  return { subpaths, programs, held: manifest.heldDependencies ?? [] };
}

/** A package that says its version reads its manifest, of which the rest would come along. */
function versionOnly(folder: string): Plugin {
  const manifest = join(folder, 'package.json');
  return {
    name: 'version-only',
    setup(build) {
      build.onLoad({ filter: /package\.json$/ }, async ({ path }) => {
        if (path !== manifest) return undefined;
        const { version } = JSON.parse(await readFile(path, 'utf8')) as { readonly version: string };
        return { contents: JSON.stringify({ version }), loader: 'json' };
      });
    },
  };
}

function atStart(run: () => Promise<void>): Plugin {
  return { name: 'at-start', setup: (build) => build.onStart(run) };
}

/**
 * Takes modules of Node that are slow to load when the code that needs them runs. A bundler moves imports of a part that is
 * loaded later to the start of the application, where all of them are loaded at once.
 */
function builtinsWhenNeeded(): Plugin {
  return {
    name: 'builtins-when-needed',
    setup(build) {
      if (build.initialOptions.format !== 'esm') return;
      build.onResolve({ filter: /^(node:)?(crypto|fs|fs\/promises|os|util|worker_threads|zlib)$/ }, ({ path }) => ({
        path: path.replace('node:', ''),
        namespace: 'builtin',
      }));
      build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      }));
    },
  };
}
