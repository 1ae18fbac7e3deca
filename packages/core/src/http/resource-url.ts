import { coreError } from '../errors/core-error.js';

/**
 * The address of a resource below a base address: the base's path stays, each segment is percent-encoded whole.
 *
 * @param base - Absolute address, with or without a path.
 * @param segments - Names, in any characters. One that is empty, `.` or `..` would lead elsewhere and is refused.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function resourceUrl(base: string | URL, ...segments: readonly string[]): URL {
  const url = parsedUrl(base, 'base');
  const path = segments.map(encodedSegment).join('/');
  const root = url.pathname.replace(/\/+$/, '');
  url.pathname = path === '' ? url.pathname : `${root}/${path}`;
  url.hash = '';
  return url;
}

/** An absolute `http:` or `https:` address; refuses others without quoting them. */
export function parsedUrl(address: string | URL, field: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(address);
  } catch {
    // below
  }
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw invalid(field, 'an absolute http: or https: address', 'Give the full address, such as https://host:8443/path.');
}

function encodedSegment(segment: string): string {
  if (segment === '' || segment === '.' || segment === '..') {
    throw invalid('segment', 'a name that is not empty, "." or ".."', 'Choose another name.');
  }
  try {
    return encodeURIComponent(segment).replace(/[!'()*]/g, percent);
  } catch {
    throw invalid('segment', 'text without unpaired surrogates', 'Choose another name.');
  }
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function invalid(field: string, expected: string, remedy: string): Error {
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid address: ${field} must be ${expected}.`, {
    details: { issues: [{ field, expected, received: 'another value', remedy }] },
    remedy,
  });
}
