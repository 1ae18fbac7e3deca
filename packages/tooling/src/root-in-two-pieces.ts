import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];
type PluginBuild = Parameters<Plugin['setup']>[0];

/** What is built: absolute paths of sources, and what comes from elsewhere. */
export interface RootAndPrograms {
  readonly root: string;
  readonly programs: readonly string[];
  /** Packages of which the built files hold what is used. */
  readonly held: readonly string[];
}

/**
 * Keeps what a root needs at once in two files: its own, and one of what the parts that are loaded later, and programs,
 * need of it too. esbuild makes a chunk for each set of entries that share a module, and every part that is loaded later
 * counts as an entry; so each of them is made to import all that any of them shares with the root.
 *
 * One file would be slower: a bundler wraps whatever a part that is loaded later imports into a function, and V8 reads the
 * text of a function twice, to find its end and to run it.
 */
export function rootInTwoPieces({ root, programs, held }: RootAndPrograms): Plugin {
  return {
    name: 'root-in-two-pieces',
    async setup(build) {
      if (build.initialOptions.format !== 'esm') return;
      // Nothing of the shared modules runs by such an import.
      build.initialOptions.logOverride = { ...build.initialOptions.logOverride, 'ignored-bare-import': 'silent' };
      const shared = await sharedWithRoot(build, { root, programs, held });
      const imports = shared.map((path) => `import ${JSON.stringify(path)};`).join('');
      build.onResolve({ filter: /^\./ }, async ({ path, kind, pluginData, ...from }) => {
        if (pluginData === imports) return undefined;
        // A program takes the root's file as an application does.
        if (kind === 'import-statement' && join(from.resolveDir, path) === root.replace(/\.ts$/, '.js')) {
          return { path: `./${basename(path)}`, external: true };
        }
        if (kind !== 'dynamic-import') return undefined;
        // What a held package loads later is in modules of it that nothing here uses; it must not leave files behind.
        if (from.resolveDir.includes('node_modules')) return { path, external: true };
        const resolved = await build.resolve(path, { ...from, kind, pluginData: imports });
        return { path: resolved.path, namespace: 'loaded-later', errors: resolved.errors };
      });
      build.onLoad({ filter: /.*/, namespace: 'loaded-later' }, ({ path }) => ({
        contents: `${imports}export * from ${JSON.stringify(path)};`,
        resolveDir: dirname(root),
      }));
      build.onLoad({ filter: /main\.ts$/ }, async ({ path }) =>
        programs.includes(path) ? { contents: `${await readFile(path, 'utf8')}${imports}`, loader: 'ts' } : undefined,
      );
    },
  };
}

/** The modules of the root that a program or a part that is loaded later imports too, directly or not. */
async function sharedWithRoot(build: PluginBuild, { root, programs, held }: RootAndPrograms): Promise<string[]> {
  const { conditions, mainFields, absWorkingDir = process.cwd() } = build.initialOptions;
  const { metafile } = await build.esbuild.build({
    absWorkingDir,
    entryPoints: [root, ...programs],
    outdir: 'out',
    bundle: true,
    write: false,
    metafile: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    ...(conditions === undefined ? {} : { conditions }),
    ...(mainFields === undefined ? {} : { mainFields }),
    plugins: [othersOutside(held)],
  });
  const { inputs } = metafile;
  const nameOfRoot = Object.keys(inputs).find((path) => join(absWorkingDir, path) === root);
  if (nameOfRoot === undefined) throw new Error(`${root} is no part of its own build.`);
  const reach = (from: string): Set<string> => {
    const reached = new Set([from]);
    for (const path of reached) {
      for (const imported of inputs[path]?.imports ?? []) {
        if (imported.kind === 'dynamic-import' || imported.path === nameOfRoot) continue;
        if (inputs[imported.path] !== undefined) reached.add(imported.path);
      }
    }
    return reached;
  };
  const ofRoot = reach(nameOfRoot);
  const starts = Object.entries(inputs)
    .filter(([path]) => !path.includes('node_modules'))
    .flatMap(([, { imports }]) => imports.filter(({ kind }) => kind === 'dynamic-import').map(({ path }) => path));
  const ofOthers = new Set<string>();
  for (const path of Object.keys(inputs)) if (programs.includes(join(absWorkingDir, path))) starts.push(path);
  for (const start of starts) for (const path of reach(start)) if (ofRoot.has(path)) ofOthers.add(path);
  return [...ofOthers].map((path) => join(absWorkingDir, path));
}

/** Leaves packages alone that the built files do not hold. */
function othersOutside(held: readonly string[]): Plugin {
  return {
    name: 'others-outside',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point' || held.some((name) => path === name || path.startsWith(`${name}/`)))
          return undefined;
        return { path, external: true };
      });
      build.onResolve({ filter: /^\./ }, ({ path, kind, importer }) =>
        kind === 'dynamic-import' && importer.includes('node_modules') ? { path, external: true } : undefined,
      );
    },
  };
}
