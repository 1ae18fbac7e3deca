import { runProgram } from '../parts/program.js';
import { repositoryRoot } from '../repository.js';

/** What came of one gate. */
export interface GateResult {
  readonly ok: boolean;
  /** Shown when it failed. */
  readonly output: string;
  /** Shown always: figures that are not judged. */
  readonly figures?: string | undefined;
}

/** One check of the repository. */
export interface Gate {
  readonly name: string;
  /** Name of a gate that must have held; else this one is skipped. */
  readonly needs?: string | undefined;
  run(): Promise<GateResult>;
}

/** A gate that is a program: it holds when the exit code is 0. */
export function programGate(name: string, program: string, args: readonly string[], needs?: string): Gate {
  return {
    name,
    needs,
    run: async () => {
      const { code, stdout, stderr } = await runTool(program, args);
      return { ok: code === 0, output: `${stdout}${stderr}` };
    },
  };
}

/** Runs a program of `node_modules` (by the path of its script) or of the system, at the repository's root. */
export function runTool(program: string, args: readonly string[]): ReturnType<typeof runProgram> {
  const isScript = program.startsWith('node_modules/');
  const words = isScript ? [program, ...args] : args;
  return runProgram(isScript ? process.execPath : program, words, {
    cwd: repositoryRoot,
    env: { TURBO_TELEMETRY_DISABLED: '1', NO_COLOR: '1', FORCE_COLOR: undefined },
    timeoutMs: 900_000,
  });
}
