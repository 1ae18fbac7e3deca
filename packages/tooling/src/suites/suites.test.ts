import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { benchContext, figure, median } from '../bench/context.js';
import type { BenchRow } from '../bench/types.js';
import { recordRows } from '../benchmarks/record.js';
import { runCampaign, seededRandom } from '../prove/run-campaign.js';
import type { Campaign } from '../prove/types.js';
import { countOf, suiteArguments } from './arguments.js';
import { findSuites, selectSuites, suiteNames } from './find-suites.js';
import { runSuite } from './run-suites.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mnops-suites-'));
  mkdirSync(join(root, 'docs'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('the command line', () => {
  it('takes names, runner options and suite options', () => {
    const args = ['secrets', 'dr:restore', '--json', 'rows.json', '--write-docs', '--size=10', '--n', '5', '--short'];
    expect(suiteArguments(args)).toEqual({
      names: ['secrets', 'dr:restore'],
      json: 'rows.json',
      writeDocs: true,
      help: false,
      options: { size: '10', n: '5', short: 'true' },
    });
  });

  it('asks for help, whatever else stands there', () => {
    expect(suiteArguments(['--help', 'dr']).help).toBe(true);
    expect(suiteArguments(['dr', '-h']).help).toBe(true);
  });

  it('refuses a count that is none', () => {
    expect(() => countOf('n', '0')).toThrow(/--n expects a whole number/);
    expect(countOf('n', '20')).toBe(20);
  });
});

describe('suite files', () => {
  it('are found in packages and examples, and chosen by name', () => {
    write('packages/dr/bench/backup.bench.ts', '');
    write('packages/dr/bench/peer.ts', '');
    write('examples/shop/bench/whole.bench.ts', '');
    const all = findSuites(root, 'bench');
    expect(all.map(({ owner, suite }) => `${owner}:${suite}`)).toEqual(['dr:backup', 'shop:whole']);
    expect(selectSuites(all, ['shop'])).toHaveLength(1);
    expect(selectSuites(all, ['dr:backup'])).toHaveLength(1);
    expect(selectSuites(all, [])).toHaveLength(2);
    expect(suiteNames(all)).toBe('  dr:backup\n  shop:whole');
    expect(() => selectSuites(all, ['dr:other'])).toThrow(/There are: dr:backup, shop:whole/);
  });

  it('run in a process of their own and hand back their rows', async () => {
    write(
      'packages/dr/bench/backup.bench.ts',
      `export default { package: 'dr', suite: 'backup', async run(context) {
        await context.limit({ bar: 'D1', name: 'size', unit: 'B', limit: 10, measure: () => Number(context.args.size) });
      } };`,
    );
    const [suite] = findSuites(root, 'bench');
    const child = join(import.meta.dirname, '..', 'bench', 'child.ts');
    const outcome = await runSuite({ child, suite: suite!, options: { size: '7' }, fromSource: false });
    expect(outcome.completed).toBe(true);
    expect(outcome.rows).toEqual([
      { suite: 'backup', package: 'dr', bar: 'D1', name: 'size', unit: 'B', ours: 7, limit: 10, met: true },
    ]);
  });
});

describe('bench', () => {
  it('records medians, and a ratio that says how many times better ours is', async () => {
    const rows: BenchRow[] = [];
    const context = benchContext(
      'core',
      {},
      (row) => rows.push(row),
      () => {},
    );
    const costs = [5, 1, 3];
    const base = { bar: 'C1', name: 'call', unit: 'ns', peer: 'peer 1.0', goal: 2 } as const;
    await context.compare({ ...base, kind: 'cost', ours: () => costs.shift() ?? 0, theirs: () => 9, runs: 3 });
    await context.compare({ ...base, kind: 'throughput', ours: () => 10, theirs: () => 20 });
    expect(rows).toEqual([
      {
        package: 'core',
        bar: 'C1',
        name: 'call',
        unit: 'ns',
        ours: 3,
        peer: 'peer 1.0',
        theirs: 9,
        ratio: 3,
        goal: 2,
        met: true,
      },
      {
        package: 'core',
        bar: 'C1',
        name: 'call',
        unit: 'ns',
        ours: 10,
        peer: 'peer 1.0',
        theirs: 20,
        ratio: 0.5,
        goal: 2,
        met: false,
      },
    ]);
  });

  it('measures processor time', async () => {
    const { result, cpuMs, wallMs } = await benchContext('core', {}, () => {}).cpuTime(() => 'done');
    expect(result).toBe('done');
    expect(cpuMs).toBeGreaterThanOrEqual(0);
    expect(wallMs).toBeGreaterThanOrEqual(0);
  });

  it('writes figures for people', () => {
    expect([0, 1234.5, 0.123456, 2e-7, 3e12].map(figure)).toEqual(['0', '1235', '0.1235', '2.000e-7', '3.000e+12']);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('campaigns', () => {
  const campaign: Omit<Campaign, 'run'> = {
    package: 'dr',
    suite: 'kill',
    bar: 'D2',
    name: 'kill',
    goal: '0 lost',
    defaultCount: 10,
  };
  const quiet = { count: 10, seed: 1, print: () => {} };

  it('count trials and failures', async () => {
    const run: Campaign['run'] = async ({ count, fail, progress }) => {
      for (let done = 1; done <= count; done += 1) {
        if (done === 4) fail('the fourth');
        progress(done);
      }
    };
    const printed: string[] = [];
    const row = await runCampaign({ ...campaign, run }, { ...quiet, print: (text) => printed.push(text) });
    // With the seed, so that it can be tried again.
    expect(printed).toEqual(['    failed (seed 1): the fourth']);
    expect(row).toEqual({ package: 'dr', bar: 'D2', name: 'kill', tried: 10, failed: 1, goal: '0 lost', met: false });
  });

  it('do not meet their goal when they end early', async () => {
    const row = await runCampaign({ ...campaign, run: () => Promise.reject(new Error('broken')) }, quiet);
    expect(row).toMatchObject({ tried: 0, failed: 1, met: false });
    const met = await runCampaign({ ...campaign, run: async () => {} }, quiet);
    expect(met).toMatchObject({ tried: 10, failed: 0, met: true });
  });

  it('draw the same numbers from the same seed, spread over the whole range', () => {
    const draw = (seed: number): number[] => Array.from({ length: 1000 }, seededRandom(seed));
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    const mean = draw(7).reduce((sum, value) => sum + value, 0) / 1000;
    expect(mean).toBeGreaterThan(0.45);
    expect(mean).toBeLessThan(0.55);
  });
});

it('keeps the rows of suites that were not run this time', () => {
  const row = (suite: string, ours: number): BenchRow & { suite: string } => ({
    suite,
    package: 'dr',
    bar: 'D1',
    name: `a|${suite}`,
    unit: 's',
    ours,
    limit: 10,
    met: true,
  });
  const file = (suite: string) => ({ owner: 'dr', suite, file: '' });
  recordRows(root, 'benches', [row('backup', 1), row('restore', 2)], [file('backup'), file('restore')]);
  recordRows(root, 'benches', [row('backup', 3)], [file('backup')]);
  const page = readFileSync(join(root, 'docs', 'benchmarks.md'), 'utf8');
  expect(page).toContain('### dr:backup');
  expect(page).toContain('| D1 | a\\|backup | 3 s |');
  expect(page).toContain('| D1 | a\\|restore | 2 s |');
  expect(page).not.toContain('| 1 s |');
});
