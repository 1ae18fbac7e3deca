import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseOptions } from '../config/index.js';
import { storageError } from '../errors/core-error.js';
import { ensureFolder } from '../files/index.js';
import { withFileLock } from '../lease/with-file-lock.js';
import type { Call } from '../spi/base.js';
import type { ObjectStore } from '../spi/object-store.js';
import { clampedRange, pieces } from './body.js';
import { openObject, placeFile, removeObject, removeStale, statObject, writeTemporary } from './folder-files.js';
import { foundObjects } from './folder-layout.js';
import { assertConditions, assertObjectName, conditionFailed } from './object-name.js';

/** Where objects are kept. */
export interface FolderStoreOptions {
  /** Folder of the store; made with the first put. */
  readonly folder: string;
}

const optionsSchema = v.strictObject({ folder: v.pipe(v.string(), v.nonEmpty()) });
const pieceBytes = 262_144;

/**
 * Objects as files in a folder. Plain lower-case names are their own path; any other name works too and stays inside.
 *
 * A put is durable and whole when it resolves, and never seen half. Conditions hold among all processes that use the
 * folder through this store. Calls reject with `MNOPS_CORE_STORAGE_FAILED` where the file system refuses.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function folderStore(options: FolderStoreOptions): ObjectStore {
  const { folder: root } = parseOptions('folderStore', optionsSchema, options);
  const id = 'folder-store';
  // A dot never begins an encoded name, so this is no object's place.
  const own = join(root, '.mnops');
  const temporaries = join(own, 'tmp');
  const locks = join(own, 'locks');
  let prepared: Promise<void> | undefined;
  const capabilities: ObjectStore['capabilities'] = {
    conditionalPut: 'match',
    objectLock: false,
    versions: false,
    ranges: true,
    serverTime: false,
    completeList: true,
    anyName: true,
    maxObjectBytes: Number.MAX_SAFE_INTEGER,
  };

  async function prepare(): Promise<void> {
    await ensureFolder(temporaries);
    await ensureFolder(locks);
    await removeStale(temporaries);
  }

  /** One writer of a name at a time, in whatever process. */
  async function alone<T>(name: string, call: Call, run: () => Promise<T>): Promise<T> {
    const lock = createHash('sha256').update(name).digest('hex').slice(0, 40);
    return await withFileLock(join(locks, `${lock}.lock`), call, run);
  }

  async function ready(): Promise<void> {
    prepared ??= prepare();
    await prepared.catch((error: unknown) => {
      prepared = undefined;
      throw error;
    });
  }

  return {
    specVersion: 1,
    kind: 'object-store',
    id,
    capabilities,
    async get(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      const opened = await openObject(root, name);
      if (opened === undefined) return undefined;
      const { handle, info } = opened;
      const range = clampedRange(call.range, info.size);
      if (range.end - range.start > pieceBytes) return { ...info, body: readPieces(handle, range, call.signal, root) };
      // Small ones are read at once, so that a body nobody reads keeps no file open.
      const bytes = await readWhole(handle, range, root);
      return { ...info, body: pieces(bytes, { id, signal: call.signal }) };
    },
    async head(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      return await statObject(root, name);
    },
    async put(name, body, call) {
      assertObjectName(name);
      assertConditions({ id, capabilities }, call);
      call.signal.throwIfAborted();
      await ready();
      const temporary = await writeTemporary(temporaries, pieces(body, { id, signal: call.signal, size: call.size }));
      try {
        return await alone(name, call, async () => {
          const before = await statObject(root, name);
          if (call.ifAbsent === true && before !== undefined) throw conditionFailed(id, call);
          if (call.ifMatch !== undefined && before?.etag !== call.ifMatch) throw conditionFailed(id, call);
          await placeFile(root, name, temporary);
          const after = await statObject(root, name);
          if (after === undefined) throw storageError('read', join(root, name), { code: 'ENOENT' });
          return after;
        });
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw error;
      }
    },
    async *list(prefix, call) {
      call.signal.throwIfAborted();
      for await (const { name } of foundObjects(root, prefix)) {
        call.signal.throwIfAborted();
        const info = await statObject(root, name);
        if (info !== undefined) yield info;
      }
    },
    async delete(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      if ((await statObject(root, name)) === undefined) return;
      await ready();
      await alone(name, call, () => removeObject(root, name));
    },
  };
}

async function readWhole(
  handle: FileHandle,
  range: { readonly start: number; readonly end: number },
  root: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of readPieces(handle, range, undefined, root)) parts.push(part);
  return Buffer.concat(parts);
}

async function* readPieces(
  handle: FileHandle,
  range: { readonly start: number; readonly end: number },
  signal: AbortSignal | undefined,
  root: string,
): AsyncGenerator<Uint8Array> {
  const close = (): void => void handle.close().catch(() => undefined);
  signal?.addEventListener('abort', close, { once: true });
  try {
    for (let at = range.start; at < range.end; ) {
      signal?.throwIfAborted();
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(pieceBytes, range.end - at)), 0, null, at);
      if (bytesRead === 0) throw { code: 'file cut short' };
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw storageError('read', root, error);
  } finally {
    signal?.removeEventListener('abort', close);
    await handle.close().catch(() => undefined);
  }
}
