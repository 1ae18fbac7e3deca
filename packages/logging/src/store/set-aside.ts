import { rename, stat } from 'node:fs/promises';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import type { StorageDamage } from '@mnops/core/spi';

const headerBytes = 64;

/**
 * Opens a file of this writer; one whose header is lost is set aside and made anew, for one such file must not stop the
 * whole store. It is never deleted. A file of another version keeps its place: the program that wrote it can still read it.
 */
export async function openOrSetAside<T>(
  file: string,
  openFile: () => Promise<T>,
  damaged: (damage: StorageDamage) => void,
): Promise<T> {
  try {
    return await openFile();
  } catch (error) {
    if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE')) throw error;
    if (error.details?.['headerLost'] !== true && !(await isShort(file))) throw error;
    const aside = await freeName(file);
    await rename(file, aside).catch((cause: unknown) => {
      throw storageError('rename', file, cause);
    });
    const opened = await openFile();
    damaged(unreadableDamage(error, aside));
    return opened;
  }
}

/** How a file that cannot be opened is told of; nobody can say how many records it held. */
export function unreadableDamage(error: MnopsError, file: string): StorageDamage {
  const remedy = `The number of lost records is unknown. Restore ${file} from a backup if they matter, and check the disk.`;
  return { code: error.code, file, offset: 0, records: 0, remedy };
}

async function isShort(file: string): Promise<boolean> {
  try {
    return (await stat(file)).size < headerBytes;
  } catch (error) {
    throw storageError('read', file, error);
  }
}

/** What was set aside before stays. */
async function freeName(file: string): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const name = attempt === 1 ? `${file}.bad` : `${file}.${attempt}.bad`;
    try {
      await stat(name);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return name;
      throw storageError('read', name, error);
    }
  }
}
