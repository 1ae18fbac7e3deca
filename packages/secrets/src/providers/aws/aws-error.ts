import { type CoreErrorCode, coreError, MnopsError, type MnopsErrorOptions } from '@mnops/core';
import { errorFromResponse, parseRetryAfter } from '@mnops/core/http';
import { secretsError } from '../../codes.js';

type Meaning = readonly [code: CoreErrorCode, options?: MnopsErrorOptions];

const signIn = { remedy: 'Check the credentials, the region, and the clock of this machine.' };
const keyState = { retryable: false, remedy: 'Check the state and the policy of the KMS key.' };

/** What AWS's own names mean. The status says nothing: AWS answers 400 for all of them. */
const meanings: Readonly<Record<string, Meaning>> = {
  ResourceNotFoundException: ['MNOPS_CORE_NOT_FOUND'],
  NotFoundException: ['MNOPS_CORE_NOT_FOUND'],
  ResourceExistsException: ['MNOPS_CORE_CONFLICT'],
  AccessDeniedException: ['MNOPS_CORE_ACCESS_DENIED'],
  AccessDenied: ['MNOPS_CORE_ACCESS_DENIED'],
  ThrottlingException: ['MNOPS_CORE_THROTTLED'],
  Throttling: ['MNOPS_CORE_THROTTLED'],
  TooManyRequestsException: ['MNOPS_CORE_THROTTLED'],
  RequestLimitExceeded: ['MNOPS_CORE_THROTTLED'],
  UnrecognizedClientException: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  InvalidClientTokenId: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  InvalidSignatureException: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  SignatureDoesNotMatch: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  IncompleteSignature: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  IncompleteSignatureException: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  MissingAuthenticationToken: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  MissingAuthenticationTokenException: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  ExpiredToken: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  ExpiredTokenException: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  RequestExpired: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  CredentialsProviderError: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  TokenProviderError: ['MNOPS_CORE_UNAUTHENTICATED', signIn],
  LimitExceededException: ['MNOPS_CORE_TOO_LARGE', { remedy: 'A quota of Secrets Manager is used up.' }],
  InternalServiceError: ['MNOPS_CORE_UNAVAILABLE'],
  InternalFailure: ['MNOPS_CORE_UNAVAILABLE'],
  InternalServerError: ['MNOPS_CORE_UNAVAILABLE'],
  KMSInternalException: ['MNOPS_CORE_UNAVAILABLE'],
  DependencyTimeoutException: ['MNOPS_CORE_UNAVAILABLE'],
  ServiceUnavailable: ['MNOPS_CORE_UNAVAILABLE'],
  ServiceUnavailableException: ['MNOPS_CORE_UNAVAILABLE'],
  DecryptionFailure: ['MNOPS_CORE_UNAVAILABLE', keyState],
  EncryptionFailure: ['MNOPS_CORE_UNAVAILABLE', keyState],
};

/** What an AWS service refused, without any text of its own that could hold a value. */
export interface AwsRefusal {
  readonly provider: string;
  readonly operation: string;
  /** The error's name, such as `ResourceNotFoundException`. */
  readonly reason: string | undefined;
  /** AWS's own sentence: looked at, never passed on. */
  readonly text: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId?: string | undefined;
}

/** The error that a refusal stands for; `details.reason` is AWS's own name of it. */
export function awsError(refusal: AwsRefusal): MnopsError {
  const { provider, operation, reason, text, status, headers, requestId } = refusal;
  const retryAfter = headers['retry-after'];
  const retryAfterMs = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, Date.now());
  const details = {
    ...(reason === undefined ? {} : { reason }),
    ...(requestId === undefined ? {} : { requestId }),
  };
  const known = reason !== undefined && Object.hasOwn(meanings, reason) ? meanings[reason] : undefined;
  const message = `${provider}: ${operation} was answered with ${reason ?? status}.`;
  const options = { provider, operation, retryAfterMs, details };
  if (known !== undefined) return coreError(known[0], message, { ...options, ...known[1] });
  if (reason === 'InvalidRequestException' && isDeletion(text))
    return secretsError('MNOPS_SECRETS_PENDING_DELETION', message, options);
  if (reason !== undefined && status >= 400 && status < 500)
    return coreError('MNOPS_CORE_RESPONSE_INVALID', message, options);
  const byStatus = errorFromResponse({ status, headers }, { provider, operation });
  const { code, retryable, remedy } = byStatus;
  return new MnopsError(code, byStatus.message, {
    provider,
    operation,
    retryable,
    remedy,
    retryAfterMs: byStatus.retryAfterMs,
    details: { ...byStatus.details, ...details },
  });
}

/** Whether AWS says that a secret is deleted and can be restored. */
function isDeletion(text: string): boolean {
  return /\bdelet(?:ed|ion)\b/i.test(text);
}

/** AWS's own name of why it refused. */
export function reasonOf(error: unknown): unknown {
  return MnopsError.is(error) ? error.details?.['reason'] : undefined;
}

/** A name that may stand in a message. */
export function safeName(name: unknown): string | undefined {
  return typeof name === 'string' && /^[A-Z][A-Za-z]{2,63}$/.test(name) ? name : undefined;
}

/** The error for an answer that lacks what the protocol promises. */
export function awsInvalid(provider: string, operation: string, what: string): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `${provider}: the answer to ${operation} has no valid ${what}.`, {
    provider,
    operation,
  });
}
