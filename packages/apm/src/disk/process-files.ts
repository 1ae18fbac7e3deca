import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import { ensureFolder, openRecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';

/** What a kind of file is called, and what its header says. */
export interface ProcessFilesOptions {
  /** What follows the id of the process, such as `.num`. */
  readonly ending: string;
  readonly magic: string;
  readonly version: number;
}

const maxRecordBytes = 67_108_864;

/** One kind of file of which each process has one in a folder, replaced as a whole. */
export class ProcessFiles {
  readonly #options: ProcessFilesOptions;
  readonly #whole: RegExp;
  readonly #unfinished: RegExp;

  constructor(options: ProcessFilesOptions) {
    this.#options = options;
    const name = `^([0-9a-z-]{1,64})${options.ending.replace('.', '\\.')}`;
    this.#whole = new RegExp(`${name}$`);
    this.#unfinished = new RegExp(`${name}\\.new(?:\\.rewrite)?$`);
  }

  /** Path of the file of one process. */
  pathOf(folder: string, id: string): string {
    return join(folder, id + this.#options.ending);
  }

  /** Ids of the processes whose file is in a folder, and of those that ended while they wrote one. */
  async list(folder: string): Promise<{ readonly whole: string[]; readonly unfinished: string[] }> {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw storageError('read', folder, error);
    });
    // Only plain files: a pipe would be waited for.
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    const idsOf = (form: RegExp): string[] => names.flatMap((name) => form.exec(name)?.[1] ?? []).sort();
    return { whole: idsOf(this.#whole), unfinished: idsOf(this.#unfinished) };
  }

  /**
   * Replaces the file of one process in one step: a crash leaves the old one or the new one, or none before the first.
   *
   * @param records - Asked for as they are written, about a megabyte at a time.
   */
  async replace(folder: string, id: string, records: Iterable<Buffer>): Promise<void> {
    const { magic, version } = this.#options;
    await ensureFolder(folder);
    await this.removeUnfinished(folder, id);
    const file = this.pathOf(folder, id);
    const unfinished = `${file}.new`;
    const log = await openRecordLog({ file: unfinished, magic, version, maxRecordBytes });
    try {
      await log.rewrite(records);
    } finally {
      await log.close();
    }
    await rename(unfinished, file).catch((error: unknown) => {
      throw storageError('replace', file, error);
    });
  }

  /** Removes what a process left that ended while it wrote its file. */
  async removeUnfinished(folder: string, id: string): Promise<void> {
    const unfinished = `${this.pathOf(folder, id)}.new`;
    await rm(unfinished, { force: true });
    await rm(`${unfinished}.rewrite`, { force: true });
  }
}

/** A file, or a record in one, that cannot be read. */
export function badRecord(file: string, offset: number, error: unknown): StorageDamage {
  const code = MnopsError.is(error) ? error.code : 'MNOPS_CORE_STORAGE_UNREADABLE';
  return { code, file, offset, records: 1, remedy: 'None: what is lost is learned anew.' };
}
