import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from './spi/base.js';

/** Longest delay that Node's timers take; a longer one would fire at once. */
const longestTimerMs = 2_147_483_647;

/** The system's clock. Timers longer than 24.8 days are chained. */
export function systemClock(): Clock {
  return { now: Date.now, monotonic: () => performance.now(), sleep, setTimer };
}

function setTimer(ms: number, run: () => void, options: { readonly hold?: boolean } = {}): Timer {
  const endsAt = performance.now() + Math.max(0, ms);
  let handle: NodeJS.Timeout;
  const arm = (): void => {
    const left = endsAt - performance.now();
    handle = setTimeout(left > longestTimerMs ? arm : run, Math.min(Math.max(0, left), longestTimerMs));
    if (options.hold !== true) handle.unref();
  };
  arm();
  return { cancel: () => clearTimeout(handle) };
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimer(ms, done, { hold: true });
    signal?.addEventListener('abort', aborted, { once: true });
    function done(): void {
      signal?.removeEventListener('abort', aborted);
      resolve();
    }
    function aborted(): void {
      timer.cancel();
      reject(signal?.reason);
    }
  });
}
