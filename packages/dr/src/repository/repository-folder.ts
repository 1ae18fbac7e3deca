import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, storageError } from '@mnops/core';
import { ensureFolder, writeFileAtomic } from '@mnops/core/files';

/** Kinds of files that the format keeps in folders of their own. */
export type FileKind = 'data' | 'index' | 'keys' | 'locks' | 'snapshots';

/** Folder of copies that restic does not look into: the config and the key files a second time. */
export const copiesFolder = 'mnops';

const idPattern = /^[0-9a-f]{64}$/;
const maxOpenPacks = 16;

/** The files of one repository, by kind and id. Reading is synchronous: callers yield between reads. */
export class RepositoryFolder {
  readonly path: string;
  readonly #open = new Map<string, number>();
  readonly #made = new Set<string>();

  constructor(path: string) {
    this.path = path;
  }

  /** Path of a file inside the repository, relative to it. */
  nameOf(kind: FileKind, id: string): string {
    return kind === 'data' ? join('data', id.slice(0, 2), id) : join(kind, id);
  }

  /** Ids of all files of a kind, sorted. Names that are no ids, such as half-written files, are left out. */
  list(kind: FileKind): string[] {
    const names = this.#names(kind);
    const found =
      kind === 'data'
        ? names.flatMap((name) => (/^[0-9a-f]{2}$/.test(name) ? this.#names(join(kind, name)) : []))
        : names;
    return found.filter((name) => idPattern.test(name)).sort();
  }

  /** Names at the top of the folder; empty when it does not exist. */
  topNames(): string[] {
    return this.#names('');
  }

  /** Names in a folder below the repository that are ids; empty when it does not exist. */
  namesIn(name: string): string[] {
    return this.#names(name).filter((id) => idPattern.test(id));
  }

  /** Bytes of a file by its relative name, or `undefined` when it is absent. */
  read(name: string): Buffer | undefined {
    try {
      return readFileSync(join(this.path, name));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw storageError('read', join(this.path, name), error);
    }
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  /** Some bytes of a pack: fewer than asked when it is shorter, none when it is absent or cannot be read. */
  readPack(id: string, offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    try {
      const count = readSync(this.#descriptor(id), bytes, 0, length, offset);
      return bytes.subarray(0, count);
    } catch {
      // An unreadable sector is damage like any other; the caller names what it costs.
      return bytes.subarray(0, 0);
    }
  }

  /** Size of a pack in bytes, or -1 when it is absent or cannot be opened. */
  packSize(id: string): number {
    try {
      return fstatSync(this.#descriptor(id)).size;
    } catch {
      return -1;
    }
  }

  /** Stores bytes under the hex of their SHA-256, durably, and returns that id. */
  async store(
    kind: FileKind,
    bytes: Buffer,
    id: string = createHash('sha256').update(bytes).digest('hex'),
  ): Promise<string> {
    await this.write(this.nameOf(kind, id), bytes);
    return id;
  }

  /** Writes a file durably, readable for its owner only; its folder is made where it is missing. */
  async write(name: string, bytes: Buffer): Promise<void> {
    const folder = join(this.path, name, '..');
    if (!this.#made.has(folder)) {
      await ensureFolder(folder);
      this.#made.add(folder);
    }
    await writeFileAtomic(join(this.path, name), bytes, { mode: 0o400 });
  }

  /** Removes a file; absent is success. */
  async remove(kind: FileKind, id: string): Promise<void> {
    const path = join(this.path, this.nameOf(kind, id));
    try {
      await unlink(path);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw storageError('remove', path, error);
    }
  }

  /** Closes the packs that reading left open. */
  close(): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  #descriptor(id: string): number {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const descriptor = openSync(join(this.path, this.nameOf('data', id)), 'r');
    for (const [oldest, open] of this.#open) {
      if (this.#open.size < maxOpenPacks) break;
      closeSync(open);
      this.#open.delete(oldest);
    }
    this.#open.set(id, descriptor);
    return descriptor;
  }

  #names(folder: string): string[] {
    try {
      return readdirSync(join(this.path, folder));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw storageError('list', join(this.path, folder), error);
    }
  }
}
