import { pathNotStorable } from '../../path.js';

/** Longest name of a secret in Secrets Manager. */
const maxNameLength = 512;

/**
 * Name of a secret for a path: letters, digits and `-/_+.@!` stay, and so does `=` unless two hexadecimal digits follow;
 * any other byte is `=` and two hexadecimal digits. So `db/login` is `db/login` and `a b` is `a=20b`.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_PATH_INVALID` when the name would be longer than 512 characters.
 */
export function secretNameOf(path: string): string {
  const name = encoded(path);
  if (name.length <= maxNameLength) return name;
  const expected = `a name of at most ${maxNameLength} characters in Secrets Manager`;
  const received = `one of ${name.length} (a special character takes 3 to 12)`;
  throw pathNotStorable(expected, received);
}

/** The beginning that the names of all paths with this prefix share. */
export function namePrefixOf(prefix: string): string {
  // How an equals sign is written depends on the two characters after it.
  return encoded(prefix.replace(/=[0-9a-f]?$/, ''));
}

/** The path of a name; `undefined` when no path has this name. */
export function pathOfName(name: string): string | undefined {
  if (!/^[A-Za-z0-9\-/_+=.@!]+$/.test(name)) return undefined;
  try {
    const path = decodeURIComponent(name.replace(/=([0-9a-f]{2})/g, '%$1'));
    return encoded(path) === name ? path : undefined;
  } catch {
    return undefined;
  }
}

function encoded(path: string): string {
  return path.replace(/[^A-Za-z0-9\-/_+.@!]/gu, (character, at: number) => {
    if (character === '=' && !/^[0-9a-f]{2}/.test(path.slice(at + 1, at + 3))) return '=';
    return [...Buffer.from(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join('');
  });
}
