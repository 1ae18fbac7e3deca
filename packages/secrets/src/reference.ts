import { secretsError } from './codes.js';
import { assertPath } from './path.js';

/** A parsed `secret://` reference. */
export interface SecretReference {
  readonly path: string;
  /** Version id, when the part after `@` is not a stage. */
  readonly version?: string | undefined;
  /** `current`, `previous` or `pending`. */
  readonly stage?: string | undefined;
  /** Field of a JSON value. */
  readonly key?: string | undefined;
}

const scheme = 'secret://';
const stages: readonly string[] = ['current', 'previous', 'pending'];

/** Whether a text is meant as a reference. */
export function isReference(text: string): boolean {
  return text.startsWith(scheme);
}

/**
 * Parses `secret://<path>[@<version or stage>][#<key>]`. In a path `@`, `#` and `%` are percent-encoded.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_REFERENCE_INVALID`, `MNOPS_SECRETS_PATH_INVALID`.
 */
export function parseReference(text: string): SecretReference {
  if (typeof text !== 'string' || !isReference(text)) throw invalid(`it does not begin with ${scheme}`);
  const [locator = '', key, ...more] = text.slice(scheme.length).split('#');
  if (more.length > 0) throw invalid('it has more than one #');
  if (key === '') throw invalid('nothing follows the #');
  const [path = '', at, ...rest] = locator.split('@');
  if (rest.length > 0) throw invalid('it has more than one @');
  if (at === '') throw invalid('nothing follows the @');
  const decodedPath = decode(path);
  assertPath(decodedPath);
  const selector = at === undefined ? undefined : decode(at);
  return {
    path: decodedPath,
    ...(selector === undefined ? {} : stages.includes(selector) ? { stage: selector } : { version: selector }),
    ...(key === undefined ? {} : { key: decode(key) }),
  };
}

/** Writes a reference that parses back to the same. */
export function formatReference(reference: SecretReference): string {
  const at = reference.version ?? reference.stage;
  const path = reference.path.split('/').map(encode).join('/');
  return `${scheme}${path}${at === undefined ? '' : `@${encode(at)}`}${reference.key === undefined ? '' : `#${encode(reference.key)}`}`;
}

function encode(text: string): string {
  return text.replace(/[%@#{}\s"]/gu, encodeURIComponent);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('a % is not followed by two hexadecimal digits of UTF-8');
  }
}

function invalid(why: string): Error {
  return secretsError('MNOPS_SECRETS_REFERENCE_INVALID', `The secret reference cannot be parsed: ${why}.`, {
    details: { field: 'reference', why },
  });
}
