import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, coreError } from '@mnops/core';
import { acquireFileLock, ensureFolder, type FileLock, openRecordLog, type RecordLog } from '@mnops/core/files';
import type { Call } from '@mnops/core/spi';
import { vaultMagic, vaultVersion } from './vault-format.js';

/** The lock goes back when nothing was written for so long … */
const idleMs = 20;
/** … and in any case after so long, so that other processes have their turn. */
const turnMs = 500;
const firstPauseMs = 2;
const longestPauseMs = 50;

interface Turn {
  readonly lock: FileLock;
  readonly log: RecordLog;
  readonly endsAt: number;
  idle: NodeJS.Timeout | undefined;
}

/** Whether a living process may be in the middle of an append. */
export async function isVaultLocked(file: string): Promise<boolean> {
  try {
    const lock = await acquireFileLock(`${file}.lock`, { purpose: 'look at the end of the vault' });
    await lock.release();
    return false;
  } catch (error) {
    return codeOf(error) === 'MNOPS_CORE_LOCKED';
  }
}

/**
 * The right to append to a vault file, one process at a time: it is taken for a write, kept for a moment in case another
 * one follows, and given back. A lock that a dead process left is taken over.
 */
export class VaultWriter {
  readonly #file: string;
  #turn: Turn | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Runs work that may append, alone in this process and among all others.
   *
   * @throws {MnopsError} `MNOPS_CORE_LOCKED` when another process keeps the lock until the call's deadline.
   */
  run<T>(call: Call, work: (log: RecordLog) => Promise<T>): Promise<T> {
    const run = this.#queue.then(async () => {
      call.signal.throwIfAborted();
      const turn = await this.#take(call);
      clearTimeout(turn.idle);
      try {
        return await work(turn.log);
      } finally {
        if (performance.now() >= turn.endsAt) await this.#giveBack();
        else turn.idle = setTimeout(() => this.#enqueueGiveBack(turn), idleMs);
      }
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }

  /** Runs work under the lock without opening the file: for putting another one in its place. */
  alone(call: Call, work: () => Promise<void>): Promise<void> {
    const run = this.#queue.then(async () => {
      await this.#giveBack();
      const lock = await this.#lock(call);
      try {
        await work();
      } finally {
        await lock.release();
      }
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#giveBack();
  }

  async #take(call: Call): Promise<Turn> {
    if (this.#turn !== undefined) return this.#turn;
    await ensureFolder(dirname(this.#file));
    const lock = await this.#lock(call);
    try {
      const log = await openRecordLog({ file: this.#file, magic: vaultMagic, version: vaultVersion });
      this.#turn = { lock, log, endsAt: performance.now() + turnMs, idle: undefined };
      return this.#turn;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async #lock(call: Call): Promise<FileLock> {
    await refuseLink(this.#file);
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      call.signal.throwIfAborted();
      try {
        return await acquireFileLock(`${this.#file}.lock`, { purpose: 'write to the vault' });
      } catch (error) {
        if (codeOf(error) !== 'MNOPS_CORE_LOCKED' || call.remainingMs() <= 2 * pauseMs) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
    }
  }

  #enqueueGiveBack(turn: Turn): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#turn === turn) await this.#giveBack().catch(() => undefined);
    });
  }

  async #giveBack(): Promise<void> {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    clearTimeout(turn.idle);
    try {
      await turn.log.close();
    } finally {
      await turn.lock.release();
    }
  }
}

/** Two names of one vault would have two locks, and two writers at once lose what the other acknowledged. */
async function refuseLink(file: string): Promise<void> {
  const entry = await lstat(file).catch(() => undefined);
  if (entry?.isSymbolicLink() !== true) return;
  throw coreError(
    'MNOPS_CORE_STORAGE_FAILED',
    `The vault file ${file} is a symbolic link, and links are not written.`,
    {
      operation: 'write',
      details: { field: 'file', path: file, reason: 'ELOOP' },
      remedy: 'Give `file` the path that the link points to. A link to the folder is fine.',
    },
  );
}
