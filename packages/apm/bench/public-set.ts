import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { dataFolder } from '@mnops/tooling/parts';

/**
 * Folder of a public set: with `--data FOLDER` that folder or one in it, first the one with the set's name; else the
 * test data.
 *
 * @param name - Folder name of the set in the test data.
 * @param isSet - Whether a folder is such a set, by what it holds.
 * @returns `undefined` when there is none.
 */
export function publicSet(
  given: string | undefined,
  name: string,
  isSet: (folder: string) => boolean,
): string | undefined {
  if (given === undefined) return dataFolder(name);
  const root = resolve(given);
  if (!existsSync(root)) return undefined;
  const inside = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const folders = [name, '.', ...inside.map((entry) => entry.name)].map((part) => join(root, part));
  return folders.find((folder) => existsSync(folder) && isSet(folder));
}
