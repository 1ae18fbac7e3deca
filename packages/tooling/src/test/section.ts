/** One section of `npm test`, counted. */
export interface Section {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Names of what failed. */
  readonly failures: readonly string[];
}

/** One thing that is run and counted as a test. */
export interface Trial {
  readonly name: string;
  /** Why it is not run here. */
  readonly skip?: string | undefined;
  readonly run: () => Promise<{ readonly ok: boolean; readonly output: string }>;
}

/** Runs trials, `parallel` at a time, prints each with its time, and what a failed one said. */
export async function runTrials(
  name: string,
  trials: readonly Trial[],
  parallel = 1,
  print: (text: string) => void = console.log,
): Promise<Section> {
  const startedAtMs = performance.now();
  const failures: string[] = [];
  let skipped = 0;
  const waiting = [...trials];
  const worker = async (): Promise<void> => {
    for (let trial = waiting.shift(); trial !== undefined; trial = waiting.shift()) {
      if (trial.skip !== undefined) {
        skipped += 1;
        print(`  skipped  ${trial.name} (${trial.skip})`);
        continue;
      }
      const trialStartedAtMs = performance.now();
      const { ok, output } = await trial.run().catch((error: unknown) => ({
        ok: false,
        output: error instanceof Error ? String(error.stack) : String(error),
      }));
      const seconds = ((performance.now() - trialStartedAtMs) / 1000).toFixed(1);
      print(`  ${ok ? 'passed ' : 'FAILED '}  ${trial.name}  ${seconds} s`);
      if (ok) continue;
      failures.push(`${name}: ${trial.name}`);
      print(output.trim().replace(/^/gm, '           '));
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  const seconds = (performance.now() - startedAtMs) / 1000;
  const passed = trials.length - failures.length - skipped;
  return { name, passed, failed: failures.length, skipped, seconds, failures };
}

/** The total as the one line that a machine reads. */
export function totalLine(sections: readonly Section[]): string {
  const sum = (of: (section: Section) => number): number => sections.reduce((total, one) => total + of(one), 0);
  return `${sum((one) => one.passed)} passed, ${sum((one) => one.failed)} failed, ${sum((one) => one.skipped)} skipped`;
}
