import { STATUS_CODES } from 'node:http';
import type { CoreErrorCode } from '../codes.js';
import { coreError } from '../errors/core-error.js';
import type { MnopsError } from '../errors/mnops-error.js';
import type { HttpResponse } from './types.js';

/** Who asked for what, for the error's message and fields. */
export interface ResponseErrorContext {
  /** Id of the provider. */
  readonly provider: string;
  readonly operation: string;
}

const codeOfStatus: Readonly<Record<number, CoreErrorCode>> = {
  401: 'MNOPS_CORE_UNAUTHENTICATED',
  403: 'MNOPS_CORE_ACCESS_DENIED',
  404: 'MNOPS_CORE_NOT_FOUND',
  407: 'MNOPS_CORE_UNAUTHENTICATED',
  408: 'MNOPS_CORE_TIMEOUT',
  409: 'MNOPS_CORE_CONFLICT',
  410: 'MNOPS_CORE_NOT_FOUND',
  412: 'MNOPS_CORE_CONFLICT',
  413: 'MNOPS_CORE_TOO_LARGE',
  425: 'MNOPS_CORE_UNAVAILABLE',
  429: 'MNOPS_CORE_THROTTLED',
  501: 'MNOPS_CORE_RESPONSE_INVALID',
  505: 'MNOPS_CORE_RESPONSE_INVALID',
};

/**
 * The error that an unexpected answer stands for. 401 and 407: `UNAUTHENTICATED`; 403: `ACCESS_DENIED`; 404 and 410:
 * `NOT_FOUND`; 408: `TIMEOUT`; 409 and 412: `CONFLICT`; 413: `TOO_LARGE`; 429: `THROTTLED`; 5xx but 501 and 505:
 * `UNAVAILABLE`; anything else, redirects included: `RESPONSE_INVALID`. Retry-After becomes `retryAfterMs`.
 *
 * Message and fields hold status, provider and operation, nothing of the body.
 */
export function errorFromResponse(
  response: Pick<HttpResponse, 'status' | 'headers'>,
  context: ResponseErrorContext,
): MnopsError {
  const { status, headers } = response;
  const { provider, operation } = context;
  const known = codeOfStatus[status];
  const code = known ?? (status >= 500 && status <= 599 ? 'MNOPS_CORE_UNAVAILABLE' : 'MNOPS_CORE_RESPONSE_INVALID');
  const redirect = status >= 300 && status < 400 ? ', a redirect, which is not followed' : '';
  const said = [status, STATUS_CODES[status]].filter((part) => part !== undefined).join(' ');
  const retryAfter = headers['retry-after'];
  return coreError(code, `${provider}: ${operation} was answered with ${said}${redirect}.`, {
    provider,
    operation,
    details: { status },
    retryAfterMs: retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, serverNow(headers)),
  });
}

/** The server's own clock where it tells it, because its Retry-After date is of that clock. */
function serverNow(headers: Readonly<Record<string, string>>): number {
  const date = Date.parse(headers['date'] ?? '');
  return Number.isNaN(date) ? Date.now() : date;
}

/**
 * Milliseconds to wait by a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3). A date in the past is 0.
 *
 * @param nowMs - Epoch milliseconds that a date is compared with.
 * @returns `undefined` when the text is neither.
 */
export function parseRetryAfter(text: string, nowMs: number): number | undefined {
  const value = text.trim();
  if (/^\d{1,10}(\.\d{1,9})?$/.test(value)) return Math.round(Number(value) * 1_000);
  if (!/^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(value)) return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
