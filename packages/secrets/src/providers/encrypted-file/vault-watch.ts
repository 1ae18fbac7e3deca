import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

const settleMs = 5;

/**
 * Calls `look` soon after the file changed: the file system says so where it can, and in any case every `intervalMs` it
 * is looked at. Nothing of it holds the process.
 *
 * @returns A function that ends it.
 */
export function watchFile(file: string, intervalMs: number, look: () => Promise<void>): () => void {
  let watcher: FSWatcher | undefined;
  let settling: NodeJS.Timeout | undefined;
  let looking = false;
  let ended = false;

  async function lookOnce(): Promise<void> {
    if (looking || ended) return;
    looking = true;
    // What went wrong shows at the next read, which has somebody to tell.
    await look().catch(() => undefined);
    looking = false;
  }

  function listen(): void {
    if (watcher !== undefined) return;
    try {
      watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
        if (name !== null && name !== basename(file)) return;
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
