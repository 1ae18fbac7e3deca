import { figure } from '../bench/context.js';
import type { BenchRow } from '../bench/types.js';
import type { CampaignRow } from '../prove/types.js';
import type { BenchmarkRecord, SuiteRow } from './record.js';

/** The page `docs/benchmarks.md`. */
export function benchmarksPage({ benches, campaigns }: BenchmarkRecord): string {
  return [
    '# Benchmarks and campaigns',
    '',
    'Generated from `docs/benchmarks.json`: do not edit. Each row is the last recorded run of its suite:',
    '`npm run bench -- <package>:<suite> --write-docs`, `npm run prove -- <package>:<suite> --write-docs`.',
    '',
    'Both sides of a comparison are measured by turns in one process, and the medians are shown. The ratio says how many',
    'times better ours is; the goal is the least ratio wanted. Figures depend on the machine: trust the ratios.',
    '',
    '## Beside other libraries',
    '',
    ...section(benches, ['bar', 'figure', 'ours', 'theirs', 'ratio', 'goal', 'met'], benchCells),
    '## Campaigns',
    '',
    'Kill points, flipped bytes, outages and random input, counted.',
    '',
    ...section(campaigns, ['bar', 'campaign', 'tried', 'failed', 'goal', 'met'], campaignCells),
  ].join('\n');
}

function section<Row extends { readonly package: string; readonly suite: string }>(
  rows: readonly Row[],
  head: readonly string[],
  cells: (row: Row) => readonly string[],
): readonly string[] {
  if (rows.length === 0) return ['Nothing recorded yet.', ''];
  const suites = new Map<string, Row[]>();
  for (const row of rows) {
    const title = `${row.package}:${row.suite}`;
    suites.set(title, [...(suites.get(title) ?? []), row]);
  }
  return [...suites].flatMap(([title, rowsOfSuite]) => [
    `### ${title}`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...rowsOfSuite.map((row) => line(cells(row))),
    '',
  ]);
}

function benchCells(row: SuiteRow<BenchRow>): readonly string[] {
  const ours = `${figure(row.ours)} ${row.unit}`;
  const met = row.met ? 'yes' : '**no**';
  if ('limit' in row) return [row.bar, row.name, ours, '', '', `limit ${figure(row.limit)}`, met];
  return [row.bar, row.name, ours, `${figure(row.theirs)} (${row.peer})`, figure(row.ratio), figure(row.goal), met];
}

function campaignCells(row: SuiteRow<CampaignRow>): readonly string[] {
  return [row.bar, row.name, String(row.tried), String(row.failed), row.goal, row.met ? 'yes' : '**no**'];
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
