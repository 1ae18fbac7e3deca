import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Options } from 'tsup';

type ExportEntry = string | { readonly '@mnops/source'?: string; readonly import?: { readonly default: string } };

/** Build configuration of one published package: every subpath of its export map and every program, as ESM and CJS with declarations. */
export function packageBuild(folder: string, options: Options = {}): ReturnType<typeof defineConfig> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, ExportEntry>>;
    readonly bin?: Readonly<Record<string, string>>;
  };
  const entry: Record<string, string> = {};
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === 'string' || target['@mnops/source'] === undefined || target.import === undefined) continue;
    // A subpath without a source is for the package check to report; it must not stop the build of the others.
    if (!existsSync(join(folder, target['@mnops/source']))) continue;
    entry[target.import.default.replace(/^\.\/dist\//, '').replace(/\.js$/, '')] = target['@mnops/source'];
  }
  const programs: string[] = [];
  // A program `dist/cli.js` is made from `src/cli/main.ts`.
  for (const target of Object.values(manifest.bin ?? {})) {
    const name = target.replace(/^\.?\/?dist\//, '').replace(/\.js$/, '');
    entry[name] = `src/${name}/main.ts`;
    programs.push(name);
  }
  return defineConfig({
    entry,
    format: ['esm', 'cjs'],
    // `build:js` says --no-dts: the demo needs no declarations, and they are most of a build's time.
    dts: true,
    target: 'node20.19',
    platform: 'node',
    sourcemap: true,
    clean: true,
    // Opening files is most of what an import costs: each root is one file, without what it does not use.
    noExternal: ['valibot', /^@mnops\/core/],
    // Reached only through `loadConfig` of core, which brings it.
    external: ['yaml'],
    esbuildOptions: (build) => {
      build.minifyWhitespace = true;
      build.minifySyntax = true;
    },
    // Nobody requires a program.
    onSuccess: async () => {
      for (const name of programs) {
        for (const end of ['.cjs', '.cjs.map']) rmSync(join(folder, 'dist', name + end), { force: true });
      }
    },
    ...options,
  });
}
