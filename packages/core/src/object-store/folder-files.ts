import { randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { syncFolder } from '../files/atomic.js';
import { ensureFolder } from '../files/index.js';
import type { ObjectInfo } from '../spi/object-store.js';
import { besideFolder, pathOf } from './folder-layout.js';

const staleTemporaryMs = 86_400_000;
const absent: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'];

/** The places where an object may lie, the likely one first. */
export function placesOf(root: string, name: string): readonly [string, string] {
  const { folders, file } = pathOf(name);
  const own = join(root, ...folders, file);
  return [own, `${own}${besideFolder}`];
}

/**
 * Facts of a stored file. The etag is made of time, inode and size: it changes with each put and costs no reading. The
 * time has random digits below the millisecond, so that no two puts within a tick of the file system look alike.
 */
export function infoOf(name: string, facts: BigIntStats): ObjectInfo {
  const etag = [facts.mtimeNs, facts.ino, facts.size].map((part) => part.toString(36)).join('-');
  return { name, size: Number(facts.size), etag, modifiedMs: Number(facts.mtimeMs) };
}

/** Facts of the object, or `undefined` when it is absent. */
export async function statObject(root: string, name: string): Promise<ObjectInfo | undefined> {
  for (const path of placesOf(root, name)) {
    try {
      const facts = await lstat(path, { bigint: true });
      if (facts.isFile()) return infoOf(name, facts);
    } catch (error) {
      if (!absent.includes(codeOf(error))) throw storageError('read', path, error);
    }
  }
  return undefined;
}

/** The opened object with its facts, or `undefined` when it is absent. What is read belongs to these facts, whatever is put meanwhile. */
export async function openObject(
  root: string,
  name: string,
): Promise<{ readonly handle: FileHandle; readonly info: ObjectInfo } | undefined> {
  for (const path of placesOf(root, name)) {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      const facts = await handle.stat({ bigint: true });
      if (facts.isFile()) return { handle, info: infoOf(name, facts) };
      await handle.close();
    } catch (error) {
      await handle?.close().catch(() => undefined);
      if (!absent.includes(codeOf(error))) throw storageError('read', path, error);
    }
  }
  return undefined;
}

/** Writes a body into a new file of its own, durably, and yields its path. Nothing is left when the body fails. */
export async function writeTemporary(folder: string, body: AsyncIterable<Uint8Array>): Promise<string> {
  const path = join(folder, `${process.pid}-${randomBytes(9).toString('hex')}`);
  let handle: FileHandle | undefined;
  try {
    handle = await systemCall('write', path, () => open(path, 'wx', 0o600));
    const file = handle;
    for await (const piece of body) await systemCall('write', path, () => writeAll(file, piece));
    await systemCall('write', path, async () => {
      const now = Date.now() / 1_000 + Math.random() / 1_000;
      await file.utimes(now, now);
      await file.sync();
    });
    await handle.close();
    return path;
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
}

/** Moves a finished file to an object's place; readers see the old object or the new one. */
export async function placeFile(root: string, name: string, temporary: string): Promise<void> {
  const { folders } = pathOf(name);
  const [own, beside] = placesOf(root, name);
  await systemCall('write', own, async () => {
    for (;;) {
      try {
        await rename(temporary, own);
        break;
      } catch (error) {
        const code = codeOf(error);
        if (
          code === 'EISDIR' ||
          code === 'ENOTEMPTY' ||
          code === 'EEXIST' ||
          (code === 'EPERM' && (await isFolder(own)))
        ) {
          await rename(temporary, beside);
          break;
        }
        if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
        await stat(temporary); // gone with its folder: not a matter of missing folders
        await makeFolders(root, folders);
      }
    }
  });
  await syncFolder(join(root, ...folders));
}

/** Removes an object from both of its places. */
export async function removeObject(root: string, name: string): Promise<void> {
  const { folders } = pathOf(name);
  for (const path of placesOf(root, name)) await systemCall('remove', path, () => removeFile(path));
  const folder = join(root, ...folders);
  if (await isFolder(folder)) await syncFolder(folder);
}

/** Removes what writers that died left, when it is older than a day. */
export async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > staleTemporaryMs) await unlink(path).catch(() => undefined);
  }
}

async function makeFolders(root: string, folders: readonly string[]): Promise<void> {
  await ensureFolder(root);
  let path = root;
  for (const folder of folders) {
    const parent = path;
    path = join(path, folder);
    try {
      await mkdir(path, 0o700);
      await syncFolder(parent);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      // An object of that name makes room; it is found beside the folder from now on.
      if (!(await isFolder(path))) await rename(path, `${path}${besideFolder}`).catch(ignoreAbsent);
      await mkdir(path, 0o700).catch((again: unknown) => {
        if (codeOf(again) !== 'EEXIST') throw again;
      });
    }
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    const code = codeOf(error);
    if (absent.includes(code) || (code === 'EPERM' && (await isFolder(path)))) return;
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => undefined);
  return facts?.isDirectory() === true;
}

function ignoreAbsent(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

async function systemCall<T>(operation: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw codeOf(error)?.startsWith('MNOPS_') === true ? error : storageError(operation, path, error);
  }
}
