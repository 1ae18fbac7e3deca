import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { publishedPackages, repositoryRoot } from '../repository.js';
import { table } from '../table.js';
import type { GateResult } from './gate.js';

const kibibyte = 1024;

/** Entries of core that stand on several others, which count in full although an application holds them once. */
const compositeKibibytes: Readonly<Record<string, number>> = {
  testing: 24,
  audit: 14,
  crypto: 11,
  lease: 9,
  'object-store': 20,
  kubernetes: 17,
};

/**
 * Roots that hold more: secrets has five back ends and the four ways to join several; apm has tracing, sampling, delivery,
 * baselines, map, anomalies and forecasts in one process, with parts counted in that are loaded only when they are used.
 */
const rootKibibytes: Readonly<Record<string, number>> = { secrets: 44, apm: 86 };

/** Subpaths that hold more: all detectors, forecasts and the ranking of causes; the options of every exporter. */
const subpathKibibytes: Readonly<Record<string, number>> = { analysis: 27, environment: 26 };

const codeKibibytes: Readonly<Record<string, number>> = { core: 1_050, secrets: 1_800, apm: 2_300 };

/** Most brotli bytes of one entry: minified, with what it imports of its own package, without other packages. */
function budgetOf(id: string, entry: string): number {
  if (id === 'core') return (compositeKibibytes[entry] ?? 8) * kibibyte;
  if (entry === 'index') return (rootKibibytes[id] ?? 40) * kibibyte;
  return (subpathKibibytes[entry] ?? 20) * kibibyte;
}

/**
 * Most bytes of code (JavaScript of both formats) that one package may install. Each CommonJS entry holds the parts of core
 * that it uses, so a package with many back ends has more; apm's root, built apart, holds what it uses of OpenTelemetry's SDK.
 */
function codeBudgetOf(id: string): number {
  return (codeKibibytes[id] ?? 1_000) * kibibyte;
}

/** Measures every entry of every package and holds it to its budget. */
export async function checkSizes(): Promise<GateResult> {
  const rows: string[][] = [];
  const over: string[] = [];
  for (const id of publishedPackages) {
    const folder = join(repositoryRoot, 'packages', id, 'dist');
    for (const { name: entry, source } of entriesOf(id)) {
      const bytes = await minifiedBytes(source);
      const budget = budgetOf(id, entry);
      rows.push([`@mnops/${id}`, entry, String(bytes.length), String(bytes.brotli), String(budget)]);
      if (bytes.brotli > budget) over.push(`@mnops/${id} ${entry}: ${bytes.brotli} bytes brotli, at most ${budget}`);
    }
    const code = codeBytes(folder);
    const codeBudget = codeBudgetOf(id);
    rows.push([`@mnops/${id}`, '(all code, both formats)', String(code), '', String(codeBudget)]);
    if (code > codeBudget) over.push(`@mnops/${id}: ${code} bytes of code, at most ${codeBudget}`);
  }
  const figures = table(['package', 'entry', 'bytes', 'brotli', 'budget'], rows);
  return { ok: over.length === 0, output: over.join('\n'), figures };
}

/** A package's entries: name of the built file, and its source, which still tells other packages from its own code. */
function entriesOf(id: string): readonly { readonly name: string; readonly source: string }[] {
  const folder = join(repositoryRoot, 'packages', id);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string | ExportTarget>>;
  };
  return Object.values(manifest.exports).flatMap((target) => {
    if (typeof target === 'string') return [];
    const { import: { default: file } = {}, '@mnops/source': source } = target;
    if (file === undefined || source === undefined) return [];
    return [{ name: file.replace('./dist/', '').replace(/\.js$/, ''), source: join(folder, source) }];
  });
}

interface ExportTarget {
  readonly import?: { readonly default?: string };
  readonly '@mnops/source'?: string;
}

async function minifiedBytes(file: string): Promise<{ readonly length: number; readonly brotli: number }> {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
  });
  const contents = outputFiles[0]?.contents ?? new Uint8Array();
  return { length: contents.length, brotli: brotliCompressSync(contents).length };
}

function codeBytes(folder: string): number {
  return readdirSync(folder)
    .filter((name) => /\.c?js$/.test(name))
    .reduce((total, name) => total + statSync(join(folder, name)).size, 0);
}
