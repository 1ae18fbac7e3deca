import { createHash } from 'node:crypto';

/** Longest name that leaves room for the number of a version: 253 less `----v` and 15 digits, rounded down. */
const longestName = 230;
const longestStem = 150;

/**
 * Name of the Secret for a path. A path that is a DNS name, such as `db-login`, is its own name; `/` becomes `--` and
 * any other byte `---` with two hex digits, so that no two paths share a name. Paths too long for a name end in a hash.
 */
export function nameOfPath(path: string): string {
  const name = encoded(path);
  if (name.length <= longestName) return name;
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 40);
  const stem = name.slice(0, longestStem).replace(/[-.]+$/, '');
  // Four dashes in a row are in no encoded path.
  return `${stem}----h${hash}`;
}

/** Name of the Secret that holds one version of a path. */
export function versionName(path: string, version: number): string {
  return `${nameOfPath(path)}----v${version}`;
}

/** Label value that all versions of a path share. */
export function pathLabel(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 40);
}

function encoded(path: string): string {
  const characters = [...path];
  let name = '';
  for (const [index, character] of characters.entries()) {
    const next = characters[index + 1];
    const between = /[a-z0-9]$/.test(name) && next !== undefined;
    if (/^[a-z0-9]$/.test(character)) name += character;
    else if ((character === '-' || character === '.') && between && /^[a-z0-9]$/.test(next)) name += character;
    else if (character === '/' && between && /^[^./-]$/.test(next)) name += '--';
    else name += escaped(character);
  }
  // A name begins with a letter or digit: an `e` stands before an escape, and an `e` of the path is escaped then.
  if (name.startsWith('e---') && !name.startsWith('e----')) return `e${escaped('e')}${name.slice(1)}`;
  return name.startsWith('-') ? `e${name}` : name;
}

function escaped(character: string): string {
  return [...Buffer.from(character)].map((byte) => `---${byte.toString(16).padStart(2, '0')}`).join('');
}
