import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { suiteNameProblem } from '../suites/suite-name.js';
import { benchContext } from './context.js';
import type { BenchRow, BenchSuite } from './types.js';

/** Runs one bench file and keeps the result file up to date after every row. */
const [file = '', resultFile = '', options = '{}'] = process.argv.slice(2);
const suite = ((await import(pathToFileURL(file).href)) as { default?: BenchSuite }).default;
const problem = suiteNameProblem(file, '.bench.ts', suite === undefined ? [] : [suite]);
if (suite === undefined || problem !== undefined) throw new Error(problem);

const rows: (BenchRow & { readonly suite: string })[] = [];
const context = benchContext(suite.package, JSON.parse(options) as Record<string, string>, (row) => {
  rows.push({ suite: suite.suite, ...row });
  writeFileSync(resultFile, JSON.stringify(rows));
});
await suite.run(context);
// A peer's idle timer or socket must not keep the runner waiting.
process.exit();
