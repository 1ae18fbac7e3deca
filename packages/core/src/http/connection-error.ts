import { coreError } from '../errors/core-error.js';
import { codeOf, type MnopsError } from '../errors/mnops-error.js';

/**
 * The error for an exchange that broke. Causes are not attached: a parser's error carries the bytes it stumbled over.
 *
 * @param origin - Scheme, host and port of the request.
 */
export function connectionError(error: unknown, origin: string): MnopsError {
  const reason = codeOf(error) ?? 'connection failed';
  const details = { origin, reason };
  if (reason.startsWith('HPE_')) {
    return coreError('MNOPS_CORE_RESPONSE_INVALID', `${origin} did not answer with valid HTTP (${reason}).`, {
      details,
    });
  }
  if (
    reason === 'ERR_INVALID_CHAR' ||
    reason === 'ERR_HTTP_INVALID_HEADER_VALUE' ||
    reason === 'ERR_INVALID_HTTP_TOKEN'
  ) {
    return coreError(
      'MNOPS_CORE_CONFIG_INVALID',
      `A header or method for ${origin} has a character that HTTP forbids.`,
      {
        details,
        remedy: 'Remove line breaks and control characters from header names and values.',
      },
    );
  }
  if (reason === 'ERR_UNESCAPED_CHARACTERS') {
    return coreError('MNOPS_CORE_CONFIG_INVALID', `The path for ${origin} has a character that is not encoded.`, {
      details,
      remedy: 'Percent-encode the path.',
    });
  }
  const untrusted = /CERT|_ISSUER|SIGNATURE|ERR_TLS|ERR_SSL|^ERR_OSSL|EPROTO/.test(reason);
  return coreError('MNOPS_CORE_UNAVAILABLE', `${origin} could not be reached (${reason}).`, {
    details,
    retryable: !untrusted,
    remedy: untrusted ? 'Check the certificate of the server and the `tls` options.' : undefined,
  });
}
