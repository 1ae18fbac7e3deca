import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchRow } from '../bench/types.js';
import type { CampaignRow } from '../prove/types.js';
import type { SuiteFile } from '../suites/find-suites.js';
import { benchmarksPage } from './page.js';

/** A row that knows which suite it is from. */
export type SuiteRow<Row> = Row & { readonly suite: string };

/** Everything that was measured, by the last run of each suite: `docs/benchmarks.json`. */
export interface BenchmarkRecord {
  readonly benches: readonly SuiteRow<BenchRow>[];
  readonly campaigns: readonly SuiteRow<CampaignRow>[];
}

/**
 * Puts the rows of suites that were run in place of their former rows, keeps the rows of all others, and writes
 * `docs/benchmarks.json` and the page made from it.
 */
export function recordRows<K extends keyof BenchmarkRecord>(
  root: string,
  kind: K,
  rows: BenchmarkRecord[K],
  ran: readonly SuiteFile[],
): void {
  const before = readRecord(root);
  const wasRun = (row: SuiteRow<BenchRow | CampaignRow>): boolean =>
    ran.some(({ owner, suite }) => row.package === owner && row.suite === suite);
  const kept = (before[kind] as readonly SuiteRow<BenchRow | CampaignRow>[]).filter((row) => !wasRun(row));
  const order = (row: SuiteRow<BenchRow | CampaignRow>): string => `${row.package} ${row.suite}`;
  const merged = [...kept, ...rows].sort((left, right) =>
    order(left) < order(right) ? -1 : Number(order(left) > order(right)),
  );
  const after: BenchmarkRecord = { ...before, [kind]: merged };
  writeFileSync(recordFile(root), `${JSON.stringify(after, null, 2)}\n`);
  writeFileSync(join(root, 'docs', 'benchmarks.md'), benchmarksPage(after));
}

/** What is recorded; empty when nothing is. */
export function readRecord(root: string): BenchmarkRecord {
  const file = recordFile(root);
  if (!existsSync(file)) return { benches: [], campaigns: [] };
  return JSON.parse(readFileSync(file, 'utf8')) as BenchmarkRecord;
}

function recordFile(root: string): string {
  return join(root, 'docs', 'benchmarks.json');
}
