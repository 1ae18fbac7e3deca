import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordRows, type SuiteRow } from '../benchmarks/record.js';
import { repositoryRoot } from '../repository.js';
import { suiteArguments } from '../suites/arguments.js';
import { findSuites, selectSuites, suiteNames } from '../suites/find-suites.js';
import { runSuite } from '../suites/run-suites.js';
import { table } from '../table.js';
import { figure } from './context.js';
import type { BenchRow } from './types.js';

/** `npm run bench -- [name[:suite] …] [--json FILE] [--write-docs] [suite options]`. A bar that is not met is a figure, not a failure. */
async function main(args: readonly string[]): Promise<number> {
  const { names, json, writeDocs, help, options } = suiteArguments(args);
  const all = findSuites(repositoryRoot, 'bench');
  if (help) {
    console.log(
      `npm run bench -- [name[:suite] …] [--json FILE] [--write-docs] [options of the suite]\n\nWithout a name all are run:\n${suiteNames(all)}`,
    );
    return 0;
  }
  const suites = selectSuites(all, names);
  const rows: SuiteRow<BenchRow>[] = [];
  const failed: string[] = [];
  for (const suite of suites) {
    const title = `${suite.owner}:${suite.suite}`;
    console.log(`\n${title}`);
    const child = join(import.meta.dirname, 'child.ts');
    const outcome = await runSuite<SuiteRow<BenchRow>>({ child, suite, options, fromSource: false });
    rows.push(...outcome.rows);
    if (!outcome.completed) failed.push(title);
  }
  console.log(
    `\n${table(['package', 'bar', 'figure', 'ours', 'theirs or limit', 'ratio', 'goal', 'met'], rows.map(cells))}`,
  );
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows.map(withoutSuite), null, 2)}\n`);
  if (writeDocs) recordRows(repositoryRoot, 'benches', rows, suites);
  if (failed.length > 0) console.error(`\nDid not run to the end: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

function cells(row: BenchRow): readonly string[] {
  const beside = 'limit' in row ? [`limit ${figure(row.limit)}`, '', ''] : [`${figure(row.theirs)} (${row.peer})`];
  const ratio = 'limit' in row ? [] : [figure(row.ratio), figure(row.goal)];
  return [
    row.package,
    row.bar,
    row.name,
    `${figure(row.ours)} ${row.unit}`,
    ...beside,
    ...ratio,
    row.met ? 'yes' : 'NO',
  ];
}

function withoutSuite({ suite: _, ...row }: SuiteRow<BenchRow>): BenchRow {
  return row as BenchRow;
}

process.exitCode = await main(process.argv.slice(2));
