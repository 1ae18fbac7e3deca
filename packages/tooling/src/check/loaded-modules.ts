import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../bench/context.js';
import { runProgram } from '../parts/program.js';
import { publishedPackages, repositoryRoot } from '../repository.js';
import { table } from '../table.js';
import type { GateResult } from './gate.js';

/** What the root of no package may load: each costs more than a whole import may. */
const heavy =
  /node_modules\/(@opentelemetry|winston|@aws-sdk|@smithy|node-vault|yaml|croner|pino|prom-client|simple-statistics)\//;

const hook = `import { appendFileSync } from 'node:fs';
let file;
export function initialize(data) { file = data.file; }
export async function load(url, context, next) { appendFileSync(file, url + '\\n'); return next(url, context); }`;

const recordScript = `const [specifier, file, hook] = process.argv.slice(1);
const { createRequire, register } = await import('node:module');
const { appendFileSync } = await import('node:fs');
register('data:text/javascript,' + encodeURIComponent(hook), { data: { file } });
await import(specifier);
appendFileSync(file, Object.keys(createRequire(import.meta.url).cache).map((path) => 'file://' + path + '\\n').join(''));`;

const timeScript = `const before = process.cpuUsage();
await import(process.argv[1]);
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);`;

/** Imports the built root of each package, names what was loaded, refuses heavy modules, and shows the processor time. */
export async function checkLoadedModules(): Promise<GateResult> {
  const problems: string[] = [];
  const rows: string[][] = [];
  for (const id of publishedPackages) {
    const name = `@mnops/${id}`;
    const loaded = await modulesLoadedBy(name);
    const foreign = loaded.filter((path) => path.includes('/node_modules/'));
    const own = loaded.filter((path) => !path.includes('/node_modules/'));
    problems.push(...loaded.filter((path) => heavy.test(path)).map((path) => `${name} loads ${path}`));
    const names = new Set(foreign.map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path));
    const cpuMs = await importCpuMs(name);
    rows.push([name, String(own.length), [...names].join(' '), cpuMs.toFixed(1)]);
  }
  const figures = table(['import', 'own files', 'other packages', 'CPU ms (median of 5, not judged)'], rows);
  return { ok: problems.length === 0, output: problems.join('\n'), figures };
}

async function modulesLoadedBy(specifier: string): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-modules-'));
  const file = join(folder, 'loaded');
  try {
    await evaluate(recordScript, [specifier, file, hook]);
    const urls = readFileSync(file, 'utf8').split('\n');
    const paths = urls.filter((url) => url.startsWith('file://')).map((url) => fileURLToPath(url));
    return [...new Set(paths)].map((path) => path.replace(`${repositoryRoot}/`, ''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function importCpuMs(specifier: string): Promise<number> {
  const samples: number[] = [];
  for (let run = 0; run < 5; run += 1) samples.push(Number(await evaluate(timeScript, [specifier])));
  return median(samples);
}

/** Runs a script in a fresh process that resolves packages as the examples do, from their builds. */
async function evaluate(script: string, args: readonly string[]): Promise<string> {
  const words = ['--no-warnings', '--input-type=module', '-e', script, ...args];
  const cwd = join(repositoryRoot, 'examples', 'snippets');
  const { code, stdout, stderr } = await runProgram(process.execPath, words, { cwd, env: { NODE_OPTIONS: undefined } });
  if (code !== 0) throw new Error(`Importing ${args[0]} failed:\n${stderr}`);
  return stdout.trim();
}
