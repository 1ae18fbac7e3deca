import { secretsError } from '../../codes.js';
import { providerId } from './vault-error.js';

/**
 * A path as it goes on the wire: each segment percent-encoded whole. In Vault a secret has exactly the name of its path,
 * so that other tools find it there, and no two paths share one.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_PATH_INVALID` for a segment with two dots in a row, which Vault's storage refuses.
 */
export function wirePath(path: string): string {
  const bad = path.split('/').find((segment) => segment.includes('..') || segment === '.' || segment === '');
  if (bad !== undefined) {
    throw secretsError('MNOPS_SECRETS_PATH_INVALID', 'Vault takes no path with an empty segment, `.` or `..` in it.', {
      provider: providerId,
      details: { field: 'path', expected: 'segments without two dots in a row', received: 'another path' },
      remedy: 'Choose a name without `..` in it.',
    });
  }
  return path.split('/').map(wireSegment).join('/');
}

/** One segment, percent-encoded down to letters, digits and `-_.~`. */
export function wireSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
