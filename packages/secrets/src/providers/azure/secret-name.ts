import { pathNotStorable } from '../../path.js';

const maxNameLength = 127;

/** End of the name of the secret beside another that holds its pending value; no path has such a name. */
export const pendingSuffix = '--pending';

/**
 * Name of a secret for a path: lower-case letters, digits and a single `-` between them stay, `/` is `---`, any other
 * byte is `--` and two hexadecimal digits. Key Vault does not tell upper from lower case, so capitals are bytes too.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_PATH_INVALID` when the name would be longer than 127 characters, the suffix of a
 * pending value included.
 */
export function secretNameOf(path: string): string {
  const name = encoded(path);
  const limit = maxNameLength - pendingSuffix.length;
  if (name.length <= limit) return name;
  const expected = `a name of at most ${limit} characters in Key Vault`;
  const received = `one of ${name.length} (a / takes 3, each character but a-z, 0-9 and - at least 4)`;
  throw pathNotStorable(expected, received);
}

/** The path of a name in any case; `undefined` when no path has it. */
export function pathOfName(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (!/^(?:[a-z0-9]|---|--[0-9a-f]{2}|-(?=[a-z0-9]))+$/.test(lower)) return undefined;
  const percent = lower.replace(/---|--([0-9a-f]{2})|-/g, (token, hex: string | undefined) => {
    if (hex !== undefined) return `%${hex}`;
    return token === '---' ? '/' : '-';
  });
  try {
    const path = decodeURIComponent(percent);
    return encoded(path) === lower ? path : undefined;
  } catch {
    return undefined;
  }
}

function encoded(path: string): string {
  return path.replace(/[^a-z0-9]/gu, (character, at: number) => {
    if (character === '/') return '---';
    if (character === '-' && /^[a-z0-9]$/.test(path.slice(at + 1, at + 2))) return '-';
    return [...Buffer.from(character)].map((byte) => `--${byte.toString(16).padStart(2, '0')}`).join('');
  });
}
