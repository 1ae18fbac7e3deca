import { type FSWatcher, watch } from 'node:fs';

/** What is watched. */
export interface WatchedPlace {
  readonly folder: string;
  /** Name of the only file in it that matters. Default: all matter. */
  readonly file?: string | undefined;
  /** Milliseconds between two looks where the file system says nothing, as those of networks do. */
  readonly intervalMs: number;
  /** Milliseconds after the first sign of a change, in which it may be completed. */
  readonly settleMs: number;
  /** Whether to look right away. Default false. */
  readonly atOnce?: boolean | undefined;
}

/**
 * Calls `look` soon after something changed in a folder: the file system says so where it can, and in any case it is
 * looked at intervals. Never two at once: a change during a look is another look. Nothing of it holds the process.
 *
 * @param look - What goes wrong in it is passed over: it shows at the next read, which has somebody to tell.
 * @returns A function that ends it.
 */
export function watchPlace(place: WatchedPlace, look: () => Promise<void>): () => void {
  const { folder, file, intervalMs, settleMs } = place;
  let watcher: FSWatcher | undefined;
  let settling: NodeJS.Timeout | undefined;
  let looking = false;
  let again = false;
  let ended = false;

  async function lookOnce(): Promise<void> {
    again = true;
    if (looking) return;
    looking = true;
    while (again && !ended) {
      again = false;
      await look().catch(() => undefined);
    }
    looking = false;
  }

  function listen(): void {
    if (watcher !== undefined) return;
    try {
      watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (file !== undefined && name !== null && name !== file) return;
        settling ??= setTimeout(() => {
          settling = undefined;
          void lookOnce();
        }, settleMs).unref();
      });
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      // The folder is not there yet, or the system is out of watches: looking at intervals does.
      watcher = undefined;
    }
  }

  listen();
  if (place.atOnce === true) void lookOnce();
  const timer = setInterval(() => {
    listen();
    void lookOnce();
  }, intervalMs).unref();
  return () => {
    ended = true;
    clearInterval(timer);
    clearTimeout(settling);
    watcher?.close();
  };
}
