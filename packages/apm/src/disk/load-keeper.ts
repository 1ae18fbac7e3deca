import { rm, stat } from 'node:fs/promises';
import { codeOf } from '@mnops/core';
import type { StorageDamage } from '@mnops/core/spi';
import type { LoadHistory } from '../analysis/forecast/load-history.js';
import { loadFiles, type ReadLoad, readLoad, writeLoad } from './load-file.js';
import { badRecord } from './process-files.js';

/** What a keeper of load needs of its host. */
export interface LoadKeeperOptions {
  /** Folder of the numbers. */
  readonly folder: string;
  readonly history: LoadHistory;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly damaged: (damage: StorageDamage) => void;
}

const maxTries = 3;
const nothingSaved = { added: -1, completed: -1 } as const;

/** Keeps the history of load on disk, and counts in what other processes of the folder write. */
export class LoadKeeper {
  readonly #options: LoadKeeperOptions;
  /** What was read of the others, by id: the very file, so that it is read once. */
  readonly #read = new Map<string, string>();
  #saved: LoadHistory['progress'] = { added: 0, completed: 0 };

  constructor(options: LoadKeeperOptions) {
    this.#options = options;
  }

  /** Ids of which there are files, whole or not. */
  async owners(): Promise<readonly string[]> {
    const { whole, unfinished } = await loadFiles.list(this.#options.folder);
    return [...whole, ...unfinished];
  }

  /** Goes on with the history of a process that ended. */
  async adopt(id: string): Promise<void> {
    const found = await this.#whole(id);
    if (found !== undefined) this.#options.history.restore(found.load, this.#options.now());
  }

  /** Removes what a process that ended left unfinished, and its history when all of it is older than what is remembered. */
  async tidy(id: string): Promise<void> {
    const { folder, history, now } = this.#options;
    await loadFiles.removeUnfinished(folder, id);
    const file = loadFiles.pathOf(folder, id);
    const facts = await stat(file).catch(absent);
    if (facts?.isFile() === true && facts.mtimeMs < now() - history.reachMs) await rm(file, { force: true });
  }

  /** Counts in what other processes wrote since the last time. */
  async refresh(own: string): Promise<void> {
    const { folder, history, now } = this.#options;
    const others = (await loadFiles.list(folder)).whole.filter((id) => id !== own);
    for (const id of this.#read.keys()) {
      if (others.includes(id)) continue;
      this.#read.delete(id);
      history.exclude(id);
    }
    for (const id of others) {
      if (this.#read.get(id) === (await this.#versionOf(id))) continue;
      const found = await this.#whole(id);
      if (found !== undefined) history.include(id, found.load, now());
    }
  }

  /** Writes the own history when steps were completed since it was written; `all`: also when only a part of one was. */
  async save(own: string, all: boolean): Promise<void> {
    const { folder, history } = this.#options;
    const { progress } = history;
    if (progress.completed === this.#saved.completed && (!all || progress.added === this.#saved.added)) return;
    const load = history.own();
    if (load.operations.length > 0) await writeLoad(folder, own, load);
    this.#saved = progress;
  }

  /** The folder was removed: all is written again. */
  anew(): void {
    this.#saved = nothingSaved;
  }

  /** What is whole of a file; `undefined` when there is nothing, or it is replaced again and again. */
  async #whole(id: string): Promise<ReadLoad | undefined> {
    const { folder, damaged } = this.#options;
    for (let tries = 0; tries < maxTries; tries += 1) {
      const version = await this.#versionOf(id);
      if (version === undefined) return undefined;
      let found: ReadLoad | undefined;
      let failure: unknown;
      try {
        found = await readLoad(folder, id);
      } catch (error) {
        failure = error;
      }
      // A process that is alive may have replaced it meanwhile: that is no damage.
      if (version !== (await this.#versionOf(id))) continue;
      this.#read.set(id, version);
      if (found === undefined) damaged(badRecord(loadFiles.pathOf(folder, id), 0, failure));
      for (const damage of found?.damage ?? []) damaged(damage);
      return found;
    }
    return undefined;
  }

  async #versionOf(id: string): Promise<string | undefined> {
    const facts = await stat(loadFiles.pathOf(this.#options.folder, id)).catch(absent);
    return facts?.isFile() !== true ? undefined : `${facts.ino} ${facts.size} ${facts.mtimeMs}`;
  }
}

function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
