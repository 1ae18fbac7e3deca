import { randomBytes } from 'node:crypto';
import { access, constants, lstat, open, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, storageError } from '@mnops/core';
import { functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { Recoverable, RestoreTarget } from '@mnops/core/spi';
import * as v from 'valibot';

/** What of a folder is backed up, and under which name. */
export interface FilesOptions {
  /** Name of the source in recovery points. Default: the folder's name. Letters, digits, `.`, `_` and `-`. */
  readonly id?: string | undefined;
  /** Asked with each path below the folder, `/` between; false leaves a file or a whole folder out. Default: everything. */
  readonly include?: ((path: string) => boolean) | undefined;
  /** Whether a restore in place keeps what it replaced, beside the folder. Default false. */
  readonly keepReplaced?: boolean | undefined;
}

/** A folder as a source. */
export interface FilesSource extends Recoverable {
  /** Absolute path of the folder. */
  readonly folder: string;
}

const optionsSchema = v.strictObject({
  id: v.optional(textSchema),
  include: v.optional(functionSchema),
  keepReplaced: v.optional(v.boolean()),
});

/**
 * A folder of the local file system as a source of backups: files, folders, links, modes, owners and times.
 *
 * In place it is restored beside the folder first and then exchanged by renaming, so the folder holds the old state or
 * the whole of the new one.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function files(folder: string, options: FilesOptions = {}): FilesSource {
  parseOptions('files', v.strictObject({ folder: textSchema, options: optionsSchema }), { folder, options });
  const path = resolve(folder);
  const { id = basename(path), include, keepReplaced = false } = options;

  return {
    specVersion: 1,
    kind: 'recoverable',
    id,
    folder: path,
    capabilities: { pointInTime: 'snapshot', isolatedRestore: true, inPlace: true },
    async snapshot(sink, call) {
      call.signal.throwIfAborted();
      await sink.addTree(path, { include });
      return {};
    },
    async restore(from, to, call) {
      call.signal.throwIfAborted();
      if ('folder' in to) await from.restoreTree(to.folder);
      else await exchange(path, keepReplaced, (beside) => from.restoreTree(beside));
      let count = 0;
      let bytes = 0;
      for await (const entry of from.entries()) {
        count += 1;
        bytes += entry.size ?? 0;
      }
      return { files: count, bytes };
    },
    async verify(at: RestoreTarget) {
      const place = 'folder' in at ? at.folder : path;
      try {
        await access(place, constants.R_OK | constants.X_OK);
        return (await lstat(await realpath(place))).isDirectory()
          ? []
          : [{ path: place, severity: 'error', message: 'Is no folder.' }];
      } catch (error) {
        return [{ path: place, severity: 'error', message: `Cannot be read: ${codeOf(error) ?? 'unknown reason'}.` }];
      }
    },
  };
}

/** Fills a folder beside `path`, then puts it in its place. On failure `path` is as it was. */
async function exchange(path: string, keep: boolean, fill: (beside: string) => Promise<void>): Promise<void> {
  const real = await realpath(path).catch(() => path);
  const mark = randomBytes(6).toString('hex');
  const beside = `${real}.mnops-restoring-${mark}`;
  const replaced = `${real}.mnops-replaced-${mark}`;
  try {
    await fill(beside);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw error;
  }
  let moved = false;
  try {
    moved = await renamed(real, replaced);
    await rename(beside, real);
    await syncFolder(dirname(real));
    if (moved && !keep) await rm(replaced, { recursive: true, force: true });
  } catch (error) {
    if (moved) await renamed(replaced, real).catch(() => undefined);
    throw storageError('exchange', join(real), error);
  }
}

/** Renames; false when there is nothing to rename. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
