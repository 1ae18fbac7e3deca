import { describe, expect, it } from 'vitest';
import { errorFromResponse, parseRetryAfter } from './response-error.js';

const context = { provider: 'belfry', operation: 'send' };

describe('errorFromResponse', () => {
  it.each([
    [200, 'MNOPS_CORE_RESPONSE_INVALID', false],
    [302, 'MNOPS_CORE_RESPONSE_INVALID', false],
    [400, 'MNOPS_CORE_RESPONSE_INVALID', false],
    [401, 'MNOPS_CORE_UNAUTHENTICATED', false],
    [403, 'MNOPS_CORE_ACCESS_DENIED', false],
    [404, 'MNOPS_CORE_NOT_FOUND', false],
    [407, 'MNOPS_CORE_UNAUTHENTICATED', false],
    [408, 'MNOPS_CORE_TIMEOUT', true],
    [409, 'MNOPS_CORE_CONFLICT', false],
    [410, 'MNOPS_CORE_NOT_FOUND', false],
    [412, 'MNOPS_CORE_CONFLICT', false],
    [413, 'MNOPS_CORE_TOO_LARGE', false],
    [418, 'MNOPS_CORE_RESPONSE_INVALID', false],
    [425, 'MNOPS_CORE_UNAVAILABLE', true],
    [429, 'MNOPS_CORE_THROTTLED', true],
    [500, 'MNOPS_CORE_UNAVAILABLE', true],
    [501, 'MNOPS_CORE_RESPONSE_INVALID', false],
    [503, 'MNOPS_CORE_UNAVAILABLE', true],
    [599, 'MNOPS_CORE_UNAVAILABLE', true],
    [799, 'MNOPS_CORE_RESPONSE_INVALID', false],
  ])('%i is %s', (status, code, retryable) => {
    const error = errorFromResponse({ status, headers: {} }, context);
    expect(error).toMatchObject({ ...context, code, retryable, details: { status }, retryAfterMs: undefined });
  });

  it('says who answered what, and that a redirect is not followed', () => {
    expect(errorFromResponse({ status: 403, headers: {} }, context).message).toBe(
      'belfry: send was answered with 403 Forbidden.',
    );
    expect(errorFromResponse({ status: 307, headers: {} }, context).message).toMatch(
      /a redirect, which is not followed/,
    );
    expect(errorFromResponse({ status: 799, headers: {} }, context).message).toMatch(/with 799\./);
  });

  it("reads Retry-After, a date against the server's own clock", () => {
    const seconds = { status: 429, headers: { 'retry-after': '3' } };
    expect(errorFromResponse(seconds, context).retryAfterMs).toBe(3_000);
    const headers = { 'retry-after': 'Wed, 21 Oct 2015 07:28:07 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' };
    expect(errorFromResponse({ status: 503, headers }, context).retryAfterMs).toBe(7_000);
    const past = { 'retry-after': 'Wed, 21 Oct 2015 07:28:07 GMT' };
    expect(errorFromResponse({ status: 503, headers: past }, context).retryAfterMs).toBe(0);
  });
});

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);
  it.each([
    ['0', 0],
    [' 120 ', 120_000],
    ['1.5', 1_500],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 12:00:30 GMT', 30_000],
    ['Thu Jan  1 12:00:30 2026 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
    ['99999999999999', undefined],
    ['2026-01-01', undefined],
    ['Thu, 99 Foo 2026 12:00:30 GMT', undefined],
  ])('%j', (text, expected) => {
    expect(parseRetryAfter(text, now)).toBe(expected);
  });
});
