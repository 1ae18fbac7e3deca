import { codeOf } from '@mnops/core';
import type { ChangeFeed } from '../../store/change-feed.js';
import { watchPlace } from '../../store/watch-place.js';
import type { FolderReader } from './folder-read.js';

/** A mounted volume is replaced in several steps. */
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
  let known: ReadonlyMap<string, string> | undefined;
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

  const end = watchPlace({ folder: reader.folder, intervalMs, settleMs, atOnce: true }, look);
  return () => {
    ended = true;
    end();
  };
}
