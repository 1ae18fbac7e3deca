import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordRows, type SuiteRow } from '../benchmarks/record.js';
import { repositoryRoot } from '../repository.js';
import { suiteArguments } from '../suites/arguments.js';
import { findSuites, selectSuites, suiteNames } from '../suites/find-suites.js';
import { runSuite } from '../suites/run-suites.js';
import { table } from '../table.js';
import type { CampaignRow } from './types.js';

/** `npm run prove -- [name[:suite] …] [--n N] [--seed N] [--short] [--json FILE] [--write-docs]`. Exit code 1 when a goal is missed. */
async function main(args: readonly string[]): Promise<number> {
  const { names, json, writeDocs, help, options } = suiteArguments(args);
  const all = findSuites(repositoryRoot, 'prove');
  if (help) {
    console.log(
      `npm run prove -- [name[:suite] …] [--n N] [--seed N] [--short] [--json FILE] [--write-docs] [options of the suite]\n\nWithout a name all are run:\n${suiteNames(all)}`,
    );
    return 0;
  }
  const suites = selectSuites(all, names);
  const rows: SuiteRow<CampaignRow>[] = [];
  const broken: string[] = [];
  for (const suite of suites) {
    const title = `${suite.owner}:${suite.suite}`;
    console.log(`\n${title}`);
    const child = join(import.meta.dirname, 'child.ts');
    const outcome = await runSuite<SuiteRow<CampaignRow>>({ child, suite, options, fromSource: true });
    rows.push(...outcome.rows);
    if (!outcome.completed) broken.push(title);
  }
  console.log(`\n${table(['package', 'bar', 'campaign', 'tried', 'failed', 'goal', 'met'], rows.map(cells))}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows.map(withoutSuite), null, 2)}\n`);
  if (writeDocs) recordRows(repositoryRoot, 'campaigns', rows, suites);
  if (broken.length > 0) console.error(`\nDid not run to the end: ${broken.join(', ')}`);
  return broken.length === 0 && rows.every(({ met }) => met) ? 0 : 1;
}

function cells(row: CampaignRow): readonly string[] {
  return [row.package, row.bar, row.name, String(row.tried), String(row.failed), row.goal, row.met ? 'yes' : 'NO'];
}

function withoutSuite({ suite: _, ...row }: SuiteRow<CampaignRow>): CampaignRow {
  return row as CampaignRow;
}

process.exitCode = await main(process.argv.slice(2));
