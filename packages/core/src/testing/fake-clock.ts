import type { Clock, Timer } from '../spi/base.js';

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** Timers and sleeps that wait. */
  readonly pending: number;
  /**
   * Moves both clocks forward. Timers fire in order, each at its own instant, also those that earlier ones set; after
   * each, promises that are ready run.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock only, forward or backward, as an operator or NTP does. */
  jumpWallClock(ms: number): void;
}

/** Where a fake clock starts. */
export interface FakeClockOptions {
  /** Wall clock at the start, epoch milliseconds. Default: 2026-01-01T00:00:00Z. */
  readonly nowMs?: number | undefined;
}

interface Waiting {
  readonly dueAt: number;
  readonly run: () => void;
}

/** Makes a clock for tests: nothing happens until `advance` is called. */
export function fakeClock(options: FakeClockOptions = {}): FakeClock {
  let wallMs = options.nowMs ?? Date.UTC(2026, 0, 1);
  let monotonicMs = 1_000;
  const waiting = new Set<Waiting>();

  function setTimer(ms: number, run: () => void): Timer {
    const entry = { dueAt: monotonicMs + Math.max(0, ms), run };
    waiting.add(entry);
    return { cancel: () => void waiting.delete(entry) };
  }

  async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimer(ms, () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      });
      function aborted(): void {
        timer.cancel();
        reject(signal?.reason);
      }
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  function moveTo(instant: number): void {
    wallMs += instant - monotonicMs;
    monotonicMs = instant;
  }

  function firstDue(until: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const entry of waiting) {
      if (entry.dueAt <= until && (first === undefined || entry.dueAt < first.dueAt)) first = entry;
    }
    return first;
  }

  return {
    now: () => wallMs,
    monotonic: () => monotonicMs,
    sleep,
    setTimer,
    get pending() {
      return waiting.size;
    },
    async advance(ms) {
      await readyPromises();
      const until = monotonicMs + ms;
      for (let next = firstDue(until); next !== undefined; next = firstDue(until)) {
        waiting.delete(next);
        moveTo(Math.max(next.dueAt, monotonicMs));
        next.run();
        await readyPromises();
      }
      moveTo(until);
      await readyPromises();
    },
    jumpWallClock: (ms) => {
      wallMs += ms;
    },
  };
}

/** One turn of the event loop: every promise chain that does not wait for I/O has run to its end. */
function readyPromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
