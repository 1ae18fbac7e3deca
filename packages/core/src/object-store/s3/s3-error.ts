import type { CoreErrorCode } from '../../codes.js';
import { coreError } from '../../errors/core-error.js';
import { MnopsError, type MnopsErrorOptions } from '../../errors/mnops-error.js';
import { errorFromResponse, type HttpResponse } from '../../http/index.js';
import { childText, parseXml } from './xml.js';

/** What S3's own codes mean, where the status does not say it. */
const meanings: Readonly<Record<string, readonly [code: CoreErrorCode, options?: MnopsErrorOptions]>> = {
  NoSuchBucket: ['MNOPS_CORE_NOT_FOUND', { remedy: 'Check `bucket`, `region` and `endpoint`.' }],
  InvalidAccessKeyId: ['MNOPS_CORE_UNAUTHENTICATED'],
  SignatureDoesNotMatch: ['MNOPS_CORE_UNAUTHENTICATED'],
  ExpiredToken: ['MNOPS_CORE_UNAUTHENTICATED'],
  InvalidToken: ['MNOPS_CORE_UNAUTHENTICATED'],
  RequestTimeTooSkewed: ['MNOPS_CORE_UNAUTHENTICATED', { remedy: 'Set the clock of this machine.' }],
  SlowDown: ['MNOPS_CORE_THROTTLED'],
  Throttling: ['MNOPS_CORE_THROTTLED'],
  RequestTimeout: ['MNOPS_CORE_TIMEOUT'],
  EntityTooLarge: ['MNOPS_CORE_TOO_LARGE'],
  InternalError: ['MNOPS_CORE_UNAVAILABLE'],
  // Two conditional writes at the same time: nothing is decided yet.
  ConditionalRequestConflict: ['MNOPS_CORE_CONFLICT', { retryable: true }],
  OperationAborted: ['MNOPS_CORE_CONFLICT', { retryable: true }],
  PermanentRedirect: ['MNOPS_CORE_RESPONSE_INVALID', { remedy: 'Give the region that the bucket is in.' }],
  AuthorizationHeaderMalformed: ['MNOPS_CORE_RESPONSE_INVALID', { remedy: 'Give the region that the bucket is in.' }],
};

/** The code in an error document of S3, such as `NoSuchKey`; `undefined` when the body is none. */
export function s3Code(response: Pick<HttpResponse, 'text'>): string | undefined {
  try {
    const document = parseXml(response.text());
    const code = document.name === 'Error' ? childText(document, 'Code') : undefined;
    return code !== undefined && /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** The error that an answer of S3 stands for: by S3's own code where it says more than the status. */
export function s3Error(response: HttpResponse, operation: string): MnopsError {
  const byStatus = errorFromResponse(response, { provider: 's3-store', operation });
  const reason = s3Code(response);
  const meaning = reason === undefined ? undefined : meanings[reason];
  const details = { ...byStatus.details, ...(reason === undefined ? {} : { reason }) };
  const { retryAfterMs } = byStatus;
  if (meaning === undefined) {
    const { code, message, retryable, remedy } = byStatus;
    const options = { provider: 's3-store', operation, retryable, remedy, retryAfterMs, details };
    return new MnopsError(code, reason === undefined ? message : `${message.slice(0, -1)} (${reason}).`, options);
  }
  const [code, options] = meaning;
  const message = `s3-store: ${operation} was answered with ${response.status} (${reason}).`;
  return coreError(code, message, { provider: 's3-store', operation, retryAfterMs, details, ...options });
}

/** The error for an answer that lacks what the protocol promises. */
export function s3Invalid(operation: string, what: string): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `s3-store: the answer to ${operation} has no valid ${what}.`, {
    provider: 's3-store',
    operation,
  });
}
