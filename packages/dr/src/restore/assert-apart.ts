import { realpathSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { configError } from '@mnops/core/config';
import type { Recoverable } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import type { RestoreDestination } from './run-restore.js';

/**
 * Refuses a restore that would write into the repository, or put another folder in the place of one that holds it: the
 * backups would go with what they are to bring back.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`.
 */
export function assertApart(
  { repositoryFolder, sources }: Pick<ResolvedConfig, 'repositoryFolder' | 'sources'>,
  ids: readonly string[],
  target: RestoreDestination,
): void {
  const repository = realPath(repositoryFolder);
  if ('folder' in target) {
    if (!isWithin(realPath(target.folder), repository)) return;
    const remedy = 'Restore into another folder.';
    throw refused({ field: 'target.folder', expected: 'a folder outside the repository', remedy });
  }
  for (const id of ids) {
    const folder = folderOf(sources.get(id));
    if (folder === undefined) continue;
    const place = realPath(folder);
    if (!isWithin(repository, place) && !isWithin(place, repository)) continue;
    const remedy = `Restore ${id} into another folder, or move the repository out of it.`;
    throw refused({ field: `sources.${id}`, expected: 'a folder that does not hold the repository', remedy });
  }
}

function refused(issue: { readonly field: string; readonly expected: string; readonly remedy: string }): Error {
  return configError('restore', [{ ...issue, received: 'one that does' }]);
}

function folderOf(source: Recoverable | undefined): string | undefined {
  const folder = (source as { readonly folder?: unknown } | undefined)?.folder;
  return typeof folder === 'string' ? folder : undefined;
}

/** The path with the links in it resolved, as far as it exists. */
function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute
      ? absolute
      : resolve(realPath(parent), absolute.slice(parent.length).replace(/^[\\/]/, ''));
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
