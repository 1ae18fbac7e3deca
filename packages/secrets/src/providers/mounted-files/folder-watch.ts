import { type FSWatcher, watch } from 'node:fs';
import { codeOf } from '@mnops/core';
import type { ChangeFeed } from '../../store/change-feed.js';
import type { FolderReader } from './folder-read.js';

const settleMs = 20;

/** What a folder watch works with. */
export interface FolderWatchOptions {
  readonly reader: FolderReader;
  readonly intervalMs: number;
  readonly feed: ChangeFeed;
  /** Tells one value from another. */
  readonly mark: (bytes: Uint8Array) => string;
}

/**
 * Tells of files whose content is another: soon where the file system says that something happened, and in any case at
 * intervals, because network folders say nothing. Nothing of it holds the process.
 *
 * @returns A function that ends it.
 */
export function watchFolder({ reader, intervalMs, feed, mark }: FolderWatchOptions): () => void {
  let watcher: FSWatcher | undefined;
  let settling: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let known: ReadonlyMap<string, string> | undefined;
  let again = false;
  let ended = false;

  async function look(): Promise<void> {
    const now = new Map<string, string>();
    for (const path of await reader.paths()) now.set(path, await marked(path));
    const before = known;
    known = now;
    if (before === undefined || ended) return;
    for (const path of new Set([...before.keys(), ...now.keys()]))
      if (before.get(path) !== now.get(path)) feed.publish({ path });
  }

  async function marked(path: string): Promise<string> {
    try {
      const read = await reader.read(path);
      return read === undefined ? 'absent' : mark(read.bytes);
    } catch (error) {
      return `failed ${codeOf(error)}`;
    }
  }

  async function lookOnce(): Promise<void> {
    if (looking !== undefined) {
      again = true;
      return;
    }
    do {
      again = false;
      // What went wrong shows at the next read, which has somebody to tell.
      looking = look().catch(() => undefined);
      await looking;
    } while (again && !ended);
    looking = undefined;
  }

  function listen(): void {
    if (watcher !== undefined || ended) return;
    try {
      watcher = watch(reader.folder, { persistent: false }, () => {
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
  void lookOnce();
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
