import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '../parts/program.js';
import { repositoryRoot } from '../repository.js';
import type { SuiteFile } from './find-suites.js';

/** How suite files are run. */
export interface SuiteRun {
  /** The program that loads one suite file: it gets the file, the result file and the options as JSON. */
  readonly child: string;
  readonly suite: SuiteFile;
  readonly options: Readonly<Record<string, string>>;
  /** Whether the workspaces are taken from source; else from their builds. */
  readonly fromSource: boolean;
}

/** What came of one suite file. */
export interface SuiteOutcome<Row> {
  readonly rows: readonly Row[];
  /** Whether the suite ran to its end. */
  readonly completed: boolean;
}

/** Runs one suite file in a process of its own, so that suites share neither heap nor compiled code. */
export async function runSuite<Row>({ child, suite, options, fromSource }: SuiteRun): Promise<SuiteOutcome<Row>> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-suite-'));
  const resultFile = join(folder, 'rows.json');
  const condition = fromSource ? ['--conditions=@mnops/source'] : [];
  const args = ['--expose-gc', ...condition, '--import', import.meta.resolve('tsx'), child];
  try {
    const running = spawn(process.execPath, [...args, suite.file, resultFile, JSON.stringify(options)], {
      cwd: repositoryRoot,
      stdio: 'inherit',
      // Node options of this runner (its own source condition) are not the suite's.
      env: environment({ NODE_OPTIONS: undefined }),
    });
    const code = await new Promise<number>((resolve, reject) => {
      running.once('error', reject);
      running.once('exit', (exitCode) => resolve(exitCode ?? -1));
    });
    return { rows: readRows<Row>(resultFile), completed: code === 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readRows<Row>(file: string): readonly Row[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as readonly Row[];
  } catch {
    return [];
  }
}
