import { readFile } from 'node:fs/promises';
import { storageError } from '../errors/core-error.js';
import type { Clock } from '../spi/base.js';

/** Rotated files are seen at the latest after this. */
const maxAgeMs = 60_000;

/** The text of a file, read again once it is a minute old, or at once when `renew` says that it is out of date. */
export interface FreshFile {
  text(): Promise<string>;
  /** The next `text` reads the file. */
  renew(): void;
}

/** Makes a reader of one file. Nothing is read before the first use. */
export function freshFile(path: string, clock: Pick<Clock, 'monotonic'>): FreshFile {
  let kept: { readonly text: string; readonly readAt: number } | undefined;
  return {
    async text() {
      if (kept !== undefined && clock.monotonic() - kept.readAt < maxAgeMs) return kept.text;
      const readAt = clock.monotonic();
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        throw storageError('read', path, error);
      }
      kept = { text, readAt };
      return text;
    },
    renew() {
      kept = undefined;
    },
  };
}
