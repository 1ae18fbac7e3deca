import type { SecretChange } from '@mnops/core/spi';

/** Changes that wait for one slow listener; beyond them it hears one change without a path: anything may have changed. */
const maxWaiting = 1_000;

/** Hands changes to everyone who watches. */
export interface ChangeFeed {
  readonly watchers: number;
  publish(change: SecretChange): void;
  watch(prefix: string, signal: AbortSignal): AsyncIterable<SecretChange>;
  /** Ends every watch. */
  close(): void;
}

interface Watcher {
  readonly prefix: string;
  waiting: SecretChange[];
  wake: (() => void) | undefined;
  ended: boolean;
}

/** Makes a feed without watchers. A watch begins when `watch` is called, not at its first `next`. */
export function changeFeed(): ChangeFeed {
  const watchers = new Set<Watcher>();

  function end(watcher: Watcher): void {
    watcher.ended = true;
    watchers.delete(watcher);
    watcher.wake?.();
  }

  async function* read(watcher: Watcher, stop: () => void): AsyncGenerator<SecretChange, void> {
    try {
      for (;;) {
        const next = watcher.waiting.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        if (watcher.ended) return;
        await new Promise<void>((resolve) => {
          watcher.wake = resolve;
        });
        watcher.wake = undefined;
      }
    } finally {
      stop();
    }
  }

  return {
    get watchers() {
      return watchers.size;
    },
    publish(change) {
      for (const watcher of watchers) {
        if (change.path !== undefined && !change.path.startsWith(watcher.prefix)) continue;
        if (watcher.waiting.length >= maxWaiting) watcher.waiting = [{}];
        else watcher.waiting.push(change);
        watcher.wake?.();
      }
    },
    watch(prefix, signal) {
      const watcher: Watcher = { prefix, waiting: [], wake: undefined, ended: signal.aborted };
      const stop = (): void => end(watcher);
      if (!signal.aborted) {
        watchers.add(watcher);
        signal.addEventListener('abort', stop, { once: true });
      }
      return read(watcher, () => {
        signal.removeEventListener('abort', stop);
        stop();
      });
    },
    close() {
      for (const watcher of [...watchers]) end(watcher);
    },
  };
}
