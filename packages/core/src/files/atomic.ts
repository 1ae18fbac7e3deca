import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { acquireFileLock } from './file-lock.js';
import { lacksHardLinks } from './hard-links.js';

/** Milliseconds until a lock that another process has is asked for again; it has it for one rename. */
const lockedWaitMs = 10;

/** What a folder is made with. */
export interface EnsureFolderOptions {
  /** Permission bits of folders that are created. Default 0o700. */
  readonly mode?: number | undefined;
}

/** What a file is written with. */
export interface WriteFileAtomicOptions {
  /** Permission bits of the file. Default: those of the file that is replaced, else 0o600. */
  readonly mode?: number | undefined;
}

/**
 * The folder exists and its name is durable. Missing parents are made too; a folder that exists keeps its rights.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED` with the path, when it cannot be made or is not a folder.
 */
export async function ensureFolder(path: string, options: EnsureFolderOptions = {}): Promise<void> {
  try {
    const first = await makeFolders(resolve(path), options.mode ?? 0o700);
    if (first !== undefined) await syncFolder(dirname(first));
    else if (!(await stat(path)).isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
  } catch (error) {
    throw storageError('create folder', path, error);
  }
}

/**
 * Makes a folder and its missing parents, one by one: Node's own recursive call never ends where a parent exists and
 * refuses its children as absent, as in /proc. Returns the first folder that was made.
 */
async function makeFolders(path: string, mode: number): Promise<string | undefined> {
  const made = await makeFolder(path, mode);
  if (made !== 'no-parent') return made;
  const first = await makeFolders(dirname(path), mode);
  if ((await makeFolder(path, mode)) === 'no-parent') {
    throw Object.assign(new Error('The parent takes no folder.'), { code: 'ENOENT' });
  }
  return first ?? path;
}

async function makeFolder(path: string, mode: number): Promise<string | 'no-parent' | undefined> {
  try {
    await mkdir(path, { mode });
    return path;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    if (codeOf(error) === 'ENOENT' && dirname(path) !== path) return 'no-parent';
    throw error;
  }
}

/**
 * The file holds exactly these bytes, durably; a reader and a crash at any moment see the old content or the new one,
 * never a mixture. The folder must exist.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED`; the old content is untouched then.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  options: WriteFileAtomicOptions = {},
): Promise<void> {
  try {
    await throughTemporary(path, bytes, options, (temporary) => rename(temporary, path));
  } catch (error) {
    throw storageError('write', path, error);
  }
  await syncFolder(dirname(path));
}

/**
 * The file is there, whole and durable: with these bytes where there was none, else as it was. Of several processes that
 * do this at once one is first. The folder must exist.
 *
 * A hard link does it in one step. A file system without them, such as FAT or some network mounts, gets a lock file beside
 * the place while the file is moved there: a crash leaves no part of a file, and the lock of a process that ended is taken
 * over. There, only writers that use this function see each other.
 *
 * @returns Whether the file was made here.
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED`.
 */
export async function writeFileOnce(
  path: string,
  bytes: Uint8Array | string,
  options: WriteFileAtomicOptions = {},
): Promise<boolean> {
  try {
    await throughTemporary(path, bytes, options, async (temporary) => {
      try {
        await link(temporary, path);
      } catch (error) {
        if (!lacksHardLinks(error)) throw error;
        await moveOnce(temporary, path);
        return;
      }
      await unlink(temporary).catch(() => undefined);
    });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw storageError('create', path, error);
  }
  await syncFolder(dirname(path));
  return true;
}

/** Moves a file to a place where none is, without hard links. @throws An error with the code `EEXIST` where one is. */
async function moveOnce(temporary: string, path: string): Promise<void> {
  for (;;) {
    if (await exists(path)) throw Object.assign(new Error('The file exists.'), { code: 'EEXIST' });
    let lock: Awaited<ReturnType<typeof acquireFileLock>>;
    try {
      lock = await acquireFileLock(`${path}.lock`, { purpose: 'make a file once' });
    } catch (error) {
      if (codeOf(error) !== 'MNOPS_CORE_LOCKED') throw error;
      await new Promise((resolve) => setTimeout(resolve, lockedWaitMs));
      continue;
    }
    try {
      // Another process may have been first, and given its lock free, since the look.
      if (await exists(path)) continue;
      await rename(temporary, path);
      return;
    } finally {
      await lock.release();
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Writes a file beside the place, lets it be moved there, and leaves nothing behind when that fails. */
async function throughTemporary(
  path: string,
  bytes: Uint8Array | string,
  options: WriteFileAtomicOptions,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', options.mode ?? (await modeOf(path)) ?? 0o600);
    try {
      await handle.writeFile(bytes);
      // The process umask may have taken bits away that were asked for.
      if (options.mode !== undefined) await handle.chmod(options.mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await place(temporary);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Makes names that were created, renamed or removed in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // Some file systems and Windows cannot sync a folder; there the rename itself has to do.
    if (['EPERM', 'EINVAL', 'EISDIR', 'EACCES', 'ENOTSUP'].includes(codeOf(error) ?? '')) return;
    throw storageError('sync folder', path, error);
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o7777;
  } catch {
    return undefined;
  }
}
