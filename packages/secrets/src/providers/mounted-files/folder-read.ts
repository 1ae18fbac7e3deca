import { constants, type Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { codeOf, coreError, storageError } from '@mnops/core';
import { isPath } from '../../path.js';

/** What a file held, and since when. */
export interface FileRead {
  readonly bytes: Buffer;
  /** Epoch milliseconds of its last change. */
  readonly atMs: number;
}

/** Most files of a folder that are listed. */
export const maxFiles = 10_000;

const maxDepth = 16;
const tries = 5;
const absentCodes: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];
const refusedCodes: readonly (string | undefined)[] = ['EACCES', 'EPERM'];

/** Reads files below one folder, and nothing that links lead to outside of it. */
export class FolderReader {
  readonly folder: string;
  readonly #maxBytes: number;

  constructor(folder: string, maxBytes: number) {
    this.folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** The folder without links in it; a folder that is not there is a failure, not an empty one. */
  async root(): Promise<string> {
    try {
      return await realpath(this.folder);
    } catch (error) {
      throw refusedCodes.includes(codeOf(error))
        ? denied(this.folder, 'enter the folder', codeOf(error))
        : storageError('open the folder', this.folder, error);
    }
  }

  /** The file's bytes; `undefined` when there is none. */
  async read(path: string): Promise<FileRead | undefined> {
    // Names that begin with two dots are those by which a whole set of files is exchanged.
    if (path.split('/').some((segment) => segment.startsWith('..'))) return undefined;
    const root = await this.root();
    for (let attempt = 1; ; attempt += 1) {
      const file = await this.#resolve(root, path);
      if (file === undefined) return undefined;
      try {
        return await this.#readFile(file, path);
      } catch (error) {
        // A new set took the place of the one that the link led to: look again.
        if (absentCodes.includes(codeOf(error)) && attempt < tries) continue;
        throw this.#failure(path, error);
      }
    }
  }

  /** Paths of the files below the folder, sorted. */
  async paths(): Promise<string[]> {
    const root = await this.root();
    const found: string[] = [];
    await this.#walk(root, [root], '', found);
    return found.sort();
  }

  /** @param folders - The folder to look through, behind those that it is in; without links in them. */
  async #walk(root: string, folders: readonly string[], prefix: string, found: string[]): Promise<void> {
    const folder = folders.at(-1) ?? root;
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      if (absentCodes.includes(codeOf(error))) return;
      throw this.#failure(prefix, error);
    }
    for (const entry of entries) {
      const path = prefix + entry.name;
      if (entry.name.startsWith('..') || !isPath(path)) continue;
      const target = entry.isSymbolicLink() ? await this.#inside(root, join(folder, entry.name)) : undefined;
      if (entry.isSymbolicLink() && target === undefined) continue;
      const isFolder = target === undefined ? entry.isDirectory() : await isDirectory(target);
      if (!isFolder && (target !== undefined || entry.isFile())) found.push(path);
      if (found.length > maxFiles) {
        throw coreError('MNOPS_CORE_TOO_LARGE', `There are more than ${maxFiles} files below ${this.folder}.`, {
          provider: 'mounted-files',
          details: { path: this.folder, maxFiles },
        });
      }
      const inner = target ?? join(folder, entry.name);
      // A link back to where the walk came from would show the same files again and again.
      if (isFolder && folders.length <= maxDepth && !folders.includes(inner))
        await this.#walk(root, [...folders, inner], `${path}/`, found);
    }
  }

  /** Where a link inside the folder leads; `undefined` when that is nowhere or outside. */
  async #inside(root: string, link: string): Promise<string | undefined> {
    const target = await realpath(link).catch(() => undefined);
    return target?.startsWith(root + sep) === true ? target : undefined;
  }

  /** The file without links in it. */
  async #resolve(root: string, path: string): Promise<string | undefined> {
    let file: string;
    try {
      file = await realpath(join(root, ...path.split('/')));
    } catch (error) {
      if (absentCodes.includes(codeOf(error))) return undefined;
      throw this.#failure(path, error);
    }
    if (file.startsWith(root + sep)) return file;
    throw coreError('MNOPS_CORE_ACCESS_DENIED', `The file of ${path} leads out of ${this.folder}, so it is not read.`, {
      provider: 'mounted-files',
      remedy: 'Put the file itself into the folder, or open the folder that it is in.',
      details: { path },
    });
  }

  async #readFile(file: string, path: string): Promise<FileRead | undefined> {
    // Neither a link that appeared meanwhile nor a pipe that nobody writes to.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      const facts = await handle.stat();
      if (!facts.isFile()) return undefined;
      const buffer = Buffer.alloc(Math.min(facts.size, this.#maxBytes) + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
        length += bytesRead;
        if (bytesRead === 0 || length === buffer.length) break;
      }
      if (length > this.#maxBytes || facts.size > this.#maxBytes) throw this.#tooLarge(path);
      // It grew while it was read: somebody writes it in place.
      if (length > facts.size) throw this.#failure(path, Object.assign(new Error(), { code: 'EAGAIN' }));
      return { bytes: Buffer.from(buffer.subarray(0, length)), atMs: Math.round(facts.mtimeMs) };
    } finally {
      await handle.close();
    }
  }

  #tooLarge(path: string): Error {
    const message = `The file of ${path} in ${this.folder} has more than ${this.#maxBytes} bytes (maxValueBytes).`;
    return coreError('MNOPS_CORE_TOO_LARGE', message, {
      provider: 'mounted-files',
      details: { path, maxValueBytes: this.#maxBytes },
    });
  }

  #failure(path: string, error: unknown): unknown {
    const code = codeOf(error);
    if (code?.startsWith('MNOPS_') === true) return error;
    return refusedCodes.includes(code)
      ? denied(join(this.folder, path), 'read', code)
      : storageError('read', join(this.folder, path), error);
  }
}

async function isDirectory(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory();
  } catch {
    return false;
  }
}

function denied(file: string, what: string, reason: string | undefined): Error {
  return coreError('MNOPS_CORE_ACCESS_DENIED', `This process may not ${what} ${file}: ${reason}.`, {
    provider: 'mounted-files',
    remedy: 'Mount it readable for the user of this process, such as with `defaultMode` or `fsGroup`.',
    details: { path: file, reason },
  });
}
