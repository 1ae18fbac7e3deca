import { untilAborted } from '@mnops/core';
import type { Call } from '@mnops/core/spi';

/** Runs work of one path after the work before it. It holds as much as callers wait for. */
export type PathQueue = <T>(path: string, call: Call, work: () => Promise<T>) => Promise<T>;

/** Makes a queue without work. */
export function pathQueue(): PathQueue {
  const last = new Map<string, Promise<unknown>>();
  return async (path, call, work) => {
    const before = last.get(path);
    const run = async () => {
      await before?.catch(() => undefined);
      call.signal.throwIfAborted();
      return await work();
    };
    const running = run();
    last.set(path, running);
    try {
      return await untilAborted(running, call.signal);
    } finally {
      void running
        .catch(() => undefined)
        .then(() => {
          if (last.get(path) === running) last.delete(path);
        });
    }
  };
}
