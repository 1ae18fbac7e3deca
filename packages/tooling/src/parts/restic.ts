import { findOnPath, type Part } from './part.js';
import { askProgram, type ProgramOptions, type ProgramResult, runProgram } from './program.js';

/** The restic command: judges the repositories that dr writes, and is a peer in its benches. */
export interface ResticPart extends Part {
  readonly id: 'restic';
  /** Path of the program; empty when it is not available. */
  readonly path: string;
  /** Runs it. Give `RESTIC_REPOSITORY` and `RESTIC_PASSWORD` in `options.env`. Its cache is off unless `--cache-dir` is given. */
  run(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
}

export function restic(): ResticPart {
  const path = findOnPath('restic') ?? '';
  return {
    id: 'restic',
    purpose: 'dr: check, restore and backup by the original',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['version'], /\d+\.\d+[\w.]*/);
    },
    installLine: 'apt-get install -y restic',
    path,
    run(args, options = {}) {
      const cache = args.includes('--cache-dir') ? [] : ['--no-cache'];
      return runProgram(path, [...cache, ...args], options);
    },
  };
}
