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
      child.on('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
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

/** Takes over a process that another supervisor started, or `undefined` when it is gone. */
export async function adoptProcess(
  identity: ProcessIdentity,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProcessHandle | undefined> {
  if (!(await isRunning(identity))) return undefined;
  const watch = async (): Promise<ProcessEnd> => {
    while (await isRunning(identity)) await unheldSleep(clock, watchMs, signal);
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

/** Kills every process that carries a marker in its environment and is not in `known`; Linux only. */
export async function killStrays(marker: string, known: ReadonlySet<number>): Promise<number> {
  if (process.platform !== 'linux') return 0;
  let killed = 0;
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || known.has(pid)) continue;
    try {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
      if (!environment.split('\0').includes(marker)) continue;
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
