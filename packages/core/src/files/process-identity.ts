import { readFile } from 'node:fs/promises';

/** One process, told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own units: clock ticks since boot on Linux, empty where the system does not tell. */
  readonly startTime: string;
  /** The boot of the machine that it belongs to; empty where the system does not tell. */
  readonly bootId: string;
}

/**
 * Who a process is, or `undefined` when there is none with that number; a zombie counts as gone.
 *
 * From `/proc` on Linux. Elsewhere only the number is known, so a number that was given to another process cannot be
 * told from the first.
 *
 * @param pid - Default: this process.
 */
export async function processIdentity(pid: number = process.pid): Promise<ProcessIdentity | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform !== 'linux') return signalable(pid) ? { pid, startTime: '', bootId: '' } : undefined;
  const [status, bootId] = await Promise.all([
    readText(`/proc/${pid}/stat`),
    readText('/proc/sys/kernel/random/boot_id'),
  ]);
  if (status === undefined) return undefined;
  // The second field, the name, is in brackets and may hold blanks and brackets itself.
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X' || startTime === undefined) return undefined;
  return { pid, startTime, bootId: bootId?.trim() ?? '' };
}

function signalable(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}
