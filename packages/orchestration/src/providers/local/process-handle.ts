import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { type ProcessIdentity, processIdentity } from '@mnops/core/files';
import type { Clock } from '@mnops/core/spi';

/** How a process ended; both are absent where another supervisor had started it. */
export interface ProcessEnd {
  readonly code?: number | undefined;
  readonly signal?: string | undefined;
}

/** A running process with its group. */
export interface ProcessHandle {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended and what was left of its group has been killed. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends a signal to the process and its group, if it is still the same process. */
  signal(name: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface SpawnOptions {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory?: string | undefined;
  readonly stdoutFile: string;
  readonly stderrFile: string;
}

/**
 * Starts a process in a group of its own. Its output goes to files and not to pipes, so that it outlives this process.
 *
 * Rejects with Node's error when the program or its folder is not there.
 */
export async function spawnProcess(options: SpawnOptions): Promise<ProcessHandle> {
  const [program = '', ...args] = options.command;
  const stdout = openSync(options.stdoutFile, 'a', 0o600);
  const stderr = openSync(options.stderrFile, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      cwd: options.workingDirectory,
      env: options.environment,
      detached: true,
      stdio: ['ignore', stdout, stderr],
    });
    const ended = new Promise<ProcessEnd>((resolve) => {
      child.on('exit', (code, signal) => {
        // At once, before anything else runs: the number of the group stays taken while it has a member, and has had no time
        // to be given to another process when it has none.
        if (child.pid !== undefined) killGroup(child.pid);
        resolve({ code: code ?? undefined, signal: signal ?? undefined });
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.on('error', () => undefined);
    const pid = child.pid!;
    const identity = (await processIdentity(pid)) ?? { pid, startTime: '', bootId: '' };
    return { identity, ended, signal: (name) => signalGroup(identity, name) };
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

const watchMs = 200;

/**
 * Takes over a process that another supervisor started, or `undefined` when it is gone.
 *
 * @param marker - `NAME=value` in the environment of the process, by which what is left of its group is known.
 */
export async function adoptProcess(
  identity: ProcessIdentity,
  marker: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProcessHandle | undefined> {
  if (!(await isRunning(identity))) return undefined;
  const watch = async (): Promise<ProcessEnd> => {
    while (await isRunning(identity)) await unheldSleep(clock, watchMs, signal);
    await killLeftGroup(identity.pid, marker);
    return {};
  };
  const ended = new Promise<ProcessEnd>((resolve) => {
    // When the supervisor is closed first, nobody is told of an end any more.
    watch().then(resolve, () => undefined);
  });
  return { identity, ended, signal: (name) => signalGroup(identity, name) };
}

/** Whether exactly this process runs: number, start and boot agree. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const found = await processIdentity(identity.pid);
  return found !== undefined && found.startTime === identity.startTime && found.bootId === identity.bootId;
}

async function signalGroup(identity: ProcessIdentity, name: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!(await isRunning(identity))) return;
  try {
    process.kill(-identity.pid, name);
  } catch {
    // It ended in between.
  }
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

/**
 * Kills what is left of a group whose leader ended a while ago. Its number may be another's by now, so on Linux only members
 * that carry the marker are killed.
 */
async function killLeftGroup(group: number, marker: string): Promise<void> {
  if (process.platform !== 'linux') {
    killGroup(group);
    return;
  }
  // Again until nobody is found: a member may have forked while the others were looked at.
  for (let pass = 0; pass < 5; pass += 1) {
    if ((await killMarked(marker, (pid) => isInGroup(pid, group))) === 0) return;
  }
}

async function isInGroup(pid: number, group: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/stat`, 'latin1');
  // Behind the name, which may hold anything, come the state, the parent and the group.
  return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[2]) === group;
}

/** Kills every process that a supervisor of the folder started, but for those of the instances in `known`; Linux only. */
export async function killStrays(marker: string, known: ReadonlySet<string>): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const prefix = 'MNOPS_INSTANCE=';
  return killMarked(marker, async (_, environment) => {
    const id = environment.find((entry) => entry.startsWith(prefix))?.slice(prefix.length);
    return id === undefined || !known.has(id);
  });
}

/**
 * Kills what an instance that ended has left in groups and sessions of their own: daemons that kept its variables. Linux only;
 * elsewhere the variables of a process cannot be read.
 */
export async function killDaemons(supervisorMarker: string, instance: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const entry = `MNOPS_INSTANCE=${instance}`;
  // Again until nobody is found: one may have forked while the others were looked at.
  for (let pass = 0; pass < 5; pass += 1) {
    if ((await killMarked(supervisorMarker, async (_, environment) => environment.includes(entry))) === 0) return;
  }
}

async function killMarked(
  marker: string,
  isMeant: (pid: number, environment: readonly string[]) => Promise<boolean>,
): Promise<number> {
  let killed = 0;
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = (await readFile(`/proc/${pid}/environ`, 'latin1')).split('\0');
      if (!environment.includes(marker) || !(await isMeant(pid, environment))) continue;
      process.kill(pid, 'SIGKILL');
      killed += 1;
    } catch {
      // Not ours to read, or gone.
    }
  }
  return killed;
}

/** A sleep that does not keep the process alive. */
export function unheldSleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.setTimer(ms, () => {
      signal.removeEventListener('abort', aborted);
      resolve();
    });
    function aborted(): void {
      timer.cancel();
      reject(signal.reason);
    }
    signal.addEventListener('abort', aborted, { once: true });
  });
}
