import { pathNotStorable } from '../../path.js';

/** Longest id of a secret in Secret Manager. */
const maxIdLength = 255;

/**
 * Id of a secret for a path: letters, digits and `-` stay, `/` is `__`, a single `_` before a letter or digit stays,
 * any other byte is `_-` and two hexadecimal digits. So `DB_PASSWORD` is `DB_PASSWORD` and `db/login` is `db__login`.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_PATH_INVALID` when the id would be longer than 255 characters.
 */
export function secretIdOf(path: string): string {
  const id = encoded(path);
  if (id.length <= maxIdLength) return id;
  const expected = `an id of at most ${maxIdLength} characters in Secret Manager`;
  const received = `one of ${id.length} (each character but letters, digits and - takes 2 to 16)`;
  throw pathNotStorable(expected, received);
}

/** The beginning that the ids of all paths with this prefix share. */
export function idPrefixOf(prefix: string): string {
  // How an underscore is written depends on what follows it.
  return encoded(prefix.replace(/_+$/, ''));
}

/** The path of an id; `undefined` when no path has this id. */
export function pathOfId(id: string): string | undefined {
  if (!/^(?:[A-Za-z0-9-]|__|_-[0-9a-f]{2}|_(?=[A-Za-z0-9]|$))+$/.test(id)) return undefined;
  const percent = id.replace(/__|_-([0-9a-f]{2})|_/g, (token, hex: string | undefined) => {
    if (hex !== undefined) return `%${hex}`;
    return token === '__' ? '/' : '_';
  });
  try {
    const path = decodeURIComponent(percent);
    return encoded(path) === id ? path : undefined;
  } catch {
    return undefined;
  }
}

function encoded(path: string): string {
  return path.replace(/[^A-Za-z0-9-]/gu, (character, at: number) => {
    if (character === '/') return '__';
    if (character === '_' && /^(?:[A-Za-z0-9]|$)/.test(path.slice(at + 1, at + 2))) return '_';
    return [...Buffer.from(character)].map((byte) => `_-${byte.toString(16).padStart(2, '0')}`).join('');
  });
}
