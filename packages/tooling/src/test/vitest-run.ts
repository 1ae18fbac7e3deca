import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '../parts/program.js';
import { repositoryRoot } from '../repository.js';
import type { Section } from './section.js';

/** The part of vitest's JSON report that is counted. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const longestRunMs = 20 * 60_000;

/** Runs vitest under a Node and counts what it reports. Its own output goes straight to the terminal. */
export async function runVitest(name: string, node: string, args: readonly string[]): Promise<Section> {
  const startedAtMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'mnops-vitest-'));
  const file = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const child = spawn(node, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...reporters, ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: environment({ NODE_OPTIONS: undefined }),
    });
    // A test that never lets go of the processor cannot be timed out from inside.
    const limit = setTimeout(() => child.kill('SIGTERM'), longestRunMs);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (exitCode) => resolve(exitCode ?? -1));
    });
    clearTimeout(limit);
    const counted = countReport(readReport(file), code);
    const failures = counted.failures.map((failure) => `${name}: ${failure}`);
    return { name, ...counted, failures, seconds: (performance.now() - startedAtMs) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Counts tests. A file that failed without a failed test, and a bad exit code without any failure, count as one each. */
export function countReport(
  report: VitestReport | undefined,
  code: number,
): Pick<Section, 'passed' | 'failed' | 'skipped' | 'failures'> {
  const results = report?.testResults ?? [];
  const tests = results.flatMap(({ assertionResults }) => assertionResults);
  const failures = results.flatMap(({ name, status, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => fullName);
    return status === 'failed' && failed.length === 0 ? [name] : failed;
  });
  if (code !== 0 && failures.length === 0) failures.push(`vitest ended with exit code ${code}`);
  if (tests.length === 0 && failures.length === 0) failures.push('vitest ran no test');
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const failedTests = tests.filter(({ status }) => status === 'failed').length;
  return { passed, failed: failures.length, skipped: tests.length - passed - failedTests, failures };
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}
