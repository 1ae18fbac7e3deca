const escapeMark = '___';

/**
 * Name of the variable for a path, without its prefix: lower-case letters become capitals, digits stay, `/` becomes the
 * separator. A `_` stays between two letters or digits where the separator is longer; every other byte is `___` and two
 * hexadecimal digits. No two paths have one name.
 */
export function variableOf(path: string, separator: string): string {
  return path.replace(/[^a-z0-9]|[a-z]/gu, (character, at: number) => {
    if (/[a-z]/.test(character)) return character.toUpperCase();
    if (character === '/') return separator;
    if (character === '_' && separator.length > 1 && /[a-z0-9]_[a-z0-9]/.test(path.slice(Math.max(0, at - 1), at + 2)))
      return '_';
    return [...Buffer.from(character)].map((byte) => escapeMark + hexOf(byte)).join('');
  });
}

/** The path that `variableOf` gives the name for; `undefined` when no path has it. */
export function pathOfVariable(name: string, separator: string): string | undefined {
  if (!/^[A-Z0-9_]+$/.test(name)) return undefined;
  const slash = separator.length;
  const mark = escapeMark.length;
  const percent = name.replace(/(_+)([0-9A-F]{2})?|[A-Z]+/g, (token, run: string | undefined, hex = '') => {
    if (run === undefined) return token.toLowerCase();
    const rest = hex.toLowerCase();
    if (run.length === slash) return `/${rest}`;
    if (run.length === 1) return `_${rest}`;
    if (run.length === mark && hex !== '') return `%${hex}`;
    if (run.length === slash + mark && hex !== '') return `/%${hex}`;
    return '%';
  });
  try {
    const path = decodeURIComponent(percent);
    return variableOf(path, separator) === name ? path : undefined;
  } catch {
    return undefined;
  }
}

function hexOf(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
