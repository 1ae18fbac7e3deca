import type { CoreErrorCode } from '../codes.js';
import { coreError } from '../errors/core-error.js';
import type { MnopsError } from '../errors/mnops-error.js';
import { errorFromResponse, type HttpResponse } from '../http/index.js';

/** The parts of a `Status` object that are read. */
export interface KubernetesStatus {
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly causes: readonly { readonly reason?: string; readonly field?: string }[];
  readonly retryAfterMs?: number | undefined;
}

const codeOfReason: Readonly<Record<string, CoreErrorCode>> = {
  Unauthorized: 'MNOPS_CORE_UNAUTHENTICATED',
  Forbidden: 'MNOPS_CORE_ACCESS_DENIED',
  NotFound: 'MNOPS_CORE_NOT_FOUND',
  AlreadyExists: 'MNOPS_CORE_CONFLICT',
  Conflict: 'MNOPS_CORE_CONFLICT',
  Gone: 'MNOPS_CORE_CONFLICT',
  Expired: 'MNOPS_CORE_CONFLICT',
  Invalid: 'MNOPS_CORE_CONFIG_INVALID',
  BadRequest: 'MNOPS_CORE_CONFIG_INVALID',
  MethodNotAllowed: 'MNOPS_CORE_UNSUPPORTED',
  NotAcceptable: 'MNOPS_CORE_UNSUPPORTED',
  UnsupportedMediaType: 'MNOPS_CORE_UNSUPPORTED',
  RequestEntityTooLarge: 'MNOPS_CORE_TOO_LARGE',
  TooManyRequests: 'MNOPS_CORE_THROTTLED',
  ServerTimeout: 'MNOPS_CORE_UNAVAILABLE',
  Timeout: 'MNOPS_CORE_UNAVAILABLE',
  ServiceUnavailable: 'MNOPS_CORE_UNAVAILABLE',
  InternalError: 'MNOPS_CORE_UNAVAILABLE',
};

/** What a request was about, for errors. */
export interface RequestSubject {
  readonly operation: string;
  readonly plural?: string | undefined;
  readonly name?: string | undefined;
}

/** The error that an answer stands for: by the reason in its `Status`, else by its status code. */
export function answerError(response: HttpResponse, subject: RequestSubject): MnopsError {
  const plain = errorFromResponse(response, { provider: 'kubernetes', operation: subject.operation });
  const status = statusOfBody(response);
  if (status === undefined) return plain;
  return statusError(status, subject, { status: response.status, retryAfterMs: plain.retryAfterMs });
}

/** The error for a `Status` that came as an event of a watch, or with an answer. */
export function statusError(
  status: KubernetesStatus,
  subject: RequestSubject,
  answer: { readonly status?: number | undefined; readonly retryAfterMs?: number | undefined } = {},
): MnopsError {
  const { operation, plural, name } = subject;
  const httpStatus = answer.status ?? status.code ?? 500;
  const { reason } = status;
  const known = reason === undefined ? undefined : codeOfReason[reason];
  const code = known ?? errorFromResponse({ status: httpStatus, headers: {} }, { provider: '', operation }).code;
  const what = [plural, name].filter((part) => part !== undefined).join(' ');
  // The words about a refused Secret may quote what is in it.
  const said = plural === 'secrets' ? {} : { said: status.message?.slice(0, 1_000) };
  return coreError(
    code as CoreErrorCode,
    `kubernetes: ${operation}${what === '' ? '' : ` of ${what}`} was answered with ${httpStatus}${reason === undefined ? '' : ` ${reason}`}.`,
    {
      provider: 'kubernetes',
      operation,
      retryAfterMs: answer.retryAfterMs ?? status.retryAfterMs,
      details: { status: httpStatus, reason, causes: status.causes, ...said },
    },
  );
}

/** The `Status` in the body of an answer, if there is one. */
export function statusOfBody(response: HttpResponse): KubernetesStatus | undefined {
  try {
    return parsedStatus(response.json<unknown>());
  } catch {
    return undefined; // a proxy speaks
  }
}

/** A `Status` object read with care, or `undefined` when it is none. */
export function parsedStatus(value: unknown): KubernetesStatus | undefined {
  if (!isRecord(value) || value['kind'] !== 'Status') return undefined;
  const details = isRecord(value['details']) ? value['details'] : {};
  const causes = Array.isArray(details['causes']) ? details['causes'].filter(isRecord).slice(0, 20) : [];
  const seconds = details['retryAfterSeconds'];
  return {
    code: typeof value['code'] === 'number' ? value['code'] : undefined,
    reason: textOf(value['reason'])?.slice(0, 100),
    message: textOf(value['message']),
    causes: causes.map((cause) => ({
      ...(typeof cause['reason'] === 'string' ? { reason: cause['reason'].slice(0, 100) } : {}),
      ...(typeof cause['field'] === 'string' ? { field: cause['field'].slice(0, 300) } : {}),
    })),
    retryAfterMs: typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : undefined,
  };
}

/** Whether the server no longer knows a version or a page that was asked for. */
export function isGone(status: number, parsed: KubernetesStatus | undefined): boolean {
  return status === 410 || parsed?.code === 410 || parsed?.reason === 'Expired' || parsed?.reason === 'Gone';
}

/** Whether a value is an object that is no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
