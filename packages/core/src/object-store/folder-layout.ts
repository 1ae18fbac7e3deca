import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';

/** Marks a file whose own name is taken by a folder: object `a` beside `a/b`. */
export const besideFolder = '%';
/** Marks a folder that holds the rest of a segment too long for one file name. */
const continued = '%+';
const longestPart = 200;

/**
 * Where an object lies below the store's folder: folders, then a file. Names of lower-case letters, digits and
 * `- _ . = , + @` are their own path; other bytes are percent-encoded, capitals too, because some file systems do not
 * tell them apart. Layout: `docs/formats/folder-store.md`.
 */
export function pathOf(name: string): { readonly folders: readonly string[]; readonly file: string } {
  const parts = name.split('/').flatMap(encodedSegment);
  return { folders: parts.slice(0, -1), file: parts.at(-1) ?? '' };
}

function encodedSegment(segment: string): string[] {
  if (segment === '') return ['%_'];
  const bytes = Buffer.from(segment);
  const parts: string[] = [];
  let part = '';
  bytes.forEach((byte, index) => {
    const character = String.fromCharCode(byte);
    const escaped = `%${byte.toString(16).padStart(2, '0')}`;
    if (part.length + escaped.length > longestPart) {
      parts.push(`${part}${continued}`);
      part = '';
    }
    // A leading dot would hide the file or climb; Windows drops one at the end.
    const plain = character === '.' ? part !== '' && index < bytes.length - 1 : /[a-z0-9\-_=,+@]/.test(character);
    part += plain ? character : escaped;
  });
  return [...parts, part];
}

/** Bytes as a text of one character each, so that comparing and cutting them is easy. */
function decodedPart(part: string): string {
  if (part === '%_') return '';
  return part.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** A file that holds an object. */
export interface FoundObject {
  readonly name: string;
  readonly path: string;
}

interface Item {
  /** Bytes of the name so far; a folder's ends with `/`. */
  readonly key: string;
  readonly path: string;
  readonly folder: boolean;
}

/** Objects below a folder whose name begins with the prefix, in the order of their bytes; folders are read as they come. */
export async function* foundObjects(root: string, prefix: string): AsyncGenerator<FoundObject> {
  let last: string | undefined;
  for await (const { key, path } of walk(root, '', Buffer.from(prefix).toString('latin1'))) {
    const name = Buffer.from(key, 'latin1').toString();
    const { folders, file } = pathOf(name);
    const own = join(root, ...folders, file);
    // What was put here by somebody else, under a path that no name leads to.
    if (path !== own && path !== `${own}${besideFolder}`) continue;
    if (name === last) continue;
    last = name;
    yield { name, path };
  }
}

async function* walk(folder: string, above: string, prefix: string): AsyncGenerator<Item> {
  const items: Item[] = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name.endsWith(continued)) {
      const key = above + decodedPart(entry.name.slice(0, -continued.length));
      if (matches(key, prefix)) for await (const item of walk(path, key, prefix)) items.push(item);
    } else if (entry.isDirectory()) {
      const key = `${above}${decodedPart(entry.name)}/`;
      if (matches(key, prefix)) items.push({ key, path, folder: true });
    } else if (entry.isFile()) {
      const plain = entry.name.length > 1 && entry.name.endsWith(besideFolder) ? entry.name.slice(0, -1) : entry.name;
      const key = above + decodedPart(plain);
      if (key.startsWith(prefix)) items.push({ key, path, folder: false });
    }
  }
  items.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.path < b.path ? -1 : 1));
  for (const item of items) {
    if (item.folder) yield* walk(item.path, item.key, prefix);
    else yield item;
  }
}

/** Whether names below a place can begin with the prefix. */
function matches(key: string, prefix: string): boolean {
  return key.startsWith(prefix) || prefix.startsWith(key);
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    // Absent, or replaced by a file meanwhile: nothing is listed there.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw storageError('list', folder, error);
  }
}
