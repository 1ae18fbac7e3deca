import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A real program or server that tests and benches may use when the machine has it. */
export interface Part {
  readonly id: string;
  /** What it is for, in a few words. */
  readonly purpose: string;
  /** Whether it can be used on this machine. */
  readonly available: boolean;
  /** What it says its version is; asked once, on first read. `undefined` when it is not available. */
  readonly version: string | undefined;
  /** The command that makes it available. */
  readonly installLine: string;
  /** Present when `npm run parts -- install` can make it available: it then goes into the user's cache. */
  readonly install?: ((progress: (text: string) => void) => Promise<void>) | undefined;
}

/** Folder that keeps parts between runs: `MNOPS_PARTS_CACHE`, else `~/.cache/mnops-parts`. */
export function cacheFolder(): string {
  const named = process.env.MNOPS_PARTS_CACHE;
  return named !== undefined && named !== '' ? named : join(homedir(), '.cache', 'mnops-parts');
}

/** Path of a program on `PATH`, or `undefined`. */
export function findOnPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find(isProgram);
}

/** Whether a path is a file that this user may run. */
export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
