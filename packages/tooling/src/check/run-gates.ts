import type { Gate, GateResult } from './gate.js';

/** One gate that ran, or did not. */
export interface GateOutcome {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
}

/** Runs gates in order and prints each with its time; what a failed gate said is printed at once. */
export async function runGates(
  gates: readonly Gate[],
  print: (text: string) => void = console.log,
): Promise<readonly GateOutcome[]> {
  const outcomes: GateOutcome[] = [];
  for (const { name, needs, run } of gates) {
    if (outcomes.some((one) => one.name === needs && one.status !== 'passed')) {
      outcomes.push({ name, status: 'skipped', seconds: 0 });
      print(`skipped  ${name} (needs ${needs})`);
      continue;
    }
    const startedAtMs = performance.now();
    const { ok, output, figures } = await run().catch(
      (error: unknown): GateResult => ({
        ok: false,
        output: error instanceof Error ? String(error.stack) : String(error),
      }),
    );
    const seconds = (performance.now() - startedAtMs) / 1000;
    outcomes.push({ name, status: ok ? 'passed' : 'failed', seconds });
    print(`${ok ? 'passed ' : 'FAILED '}  ${name}  ${seconds.toFixed(1)} s`);
    if (figures !== undefined) print(indented(figures));
    if (!ok) print(indented(output.trim()));
  }
  return outcomes;
}

function indented(text: string): string {
  return text.replace(/^/gm, '         ');
}
