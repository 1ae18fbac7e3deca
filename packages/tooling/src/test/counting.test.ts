import { describe, expect, it } from 'vitest';
import type { Gate } from '../check/gate.js';
import { runGates } from '../check/run-gates.js';
import { runTrials, totalLine } from './section.js';
import { countReport, type VitestReport } from './vitest-run.js';

describe('trials', () => {
  it('are counted, with what a failed one said', async () => {
    const printed: string[] = [];
    const trials = [
      { name: 'good', run: async () => ({ ok: true, output: '' }) },
      { name: 'bad', run: async () => ({ ok: false, output: 'no port' }) },
      { name: 'broken', run: () => Promise.reject(new Error('no disk')) },
      { name: 'elsewhere', skip: 'needs a moon', run: async () => ({ ok: true, output: '' }) },
    ];
    const section = await runTrials('snippets', trials, 2, (text) => printed.push(text));
    expect(section).toMatchObject({
      passed: 1,
      failed: 2,
      skipped: 1,
      failures: ['snippets: bad', 'snippets: broken'],
    });
    expect(printed.join('\n')).toMatch(/no port[\s\S]*no disk|no disk[\s\S]*no port/);
    expect(totalLine([section, section])).toBe('2 passed, 4 failed, 2 skipped');
  });
});

describe('gates', () => {
  const gate = (name: string, ok: boolean, needs?: string): Gate => ({
    name,
    needs,
    run: async () => ({ ok, output: 'why' }),
  });

  it('are skipped when what they need did not hold', async () => {
    const gates = [gate('build', false), gate('size', true, 'build'), gate('docs', true, 'gone')];
    const outcomes = await runGates(gates, () => {});
    expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'skipped', 'passed']);
  });
});

describe('a vitest report', () => {
  const report = (...files: readonly (readonly [string, readonly string[]])[]): VitestReport => ({
    testResults: files.map(([status, tests]) => ({
      name: 'a.test.ts',
      status,
      assertionResults: tests.map((one) => ({ status: one, fullName: `is ${one}` })),
    })),
  });

  it('is counted test by test', () => {
    const counted = countReport(report(['passed', ['passed', 'passed', 'pending', 'todo']], ['failed', ['failed']]), 1);
    expect(counted).toEqual({ passed: 2, failed: 1, skipped: 2, failures: ['is failed'] });
  });

  it('counts a file that did not load, a crash and an empty run', () => {
    expect(countReport(report(['failed', []]), 1)).toMatchObject({ failed: 1, failures: ['a.test.ts'] });
    expect(countReport(report(['passed', ['passed']]), 1)).toMatchObject({ passed: 1, failed: 1 });
    expect(countReport(undefined, 0)).toMatchObject({ failed: 1, failures: ['vitest ran no test'] });
  });
});
