import { setTimeout as delay } from 'node:timers/promises';
import { MnopsError } from '../errors/mnops-error.js';
import { acquireFileLock } from '../files/index.js';
import type { Call } from '../spi/base.js';

/** Longest wait for a lock that is held only for single steps. */
const patienceMs = 30_000;

/**
 * Runs one step while no other process runs one under the same lock file, and waits for its turn until then.
 *
 * @throws {MnopsError} `MNOPS_CORE_LOCKED` when the turn did not come within 30 s or the call's own time.
 */
export async function withFileLock<T>(
  path: string,
  call: Pick<Call, 'signal' | 'remainingMs'>,
  run: () => Promise<T>,
): Promise<T> {
  const endsAt = performance.now() + patienceMs;
  for (;;) {
    call.signal.throwIfAborted();
    try {
      const lock = await acquireFileLock(path);
      try {
        call.signal.throwIfAborted();
        return await run();
      } finally {
        await lock.release();
      }
    } catch (error) {
      const ours = MnopsError.is(error, 'MNOPS_CORE_LOCKED') && error.details?.['path'] === path;
      if (!ours || performance.now() >= endsAt || call.remainingMs() <= 0) throw error;
      await delay(1 + Math.random() * 6);
    }
  }
}
