import { isDate } from 'node:util/types';
import { coreError, UnsupportedError } from '@mnops/core';
import { configError, parseOptions } from '@mnops/core/config';
import type { SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import type { SecretInput, WriteOptions } from '../secret-operations.js';

/** Whether something is a date, and one that exists. */
export function isValidDate(value: unknown): value is Date {
  return isDate(value) && Number.isFinite(value.getTime());
}

const writeSchema = v.strictObject({
  expiresAt: v.optional(v.custom<Date>(isValidDate, 'a valid Date')),
  contentType: v.optional(v.string()),
  tags: v.optional(v.record(v.string(), v.string())),
  stage: v.optional(v.string()),
  ifVersion: v.optional(v.nullable(v.string())),
  signal: v.optional(v.unknown()),
  timeoutMs: v.optional(v.unknown()),
});

/** A value as bytes, with the content type that its kind suggests. */
export interface EncodedInput {
  readonly bytes: Uint8Array;
  readonly contentType: string;
}

/**
 * A value as bytes.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for something that JSON cannot carry. The message never quotes it.
 */
export function encodeInput(input: SecretInput): EncodedInput {
  if (typeof input === 'string') {
    if (/\p{Surrogate}/u.test(input)) throw refused('well-formed text');
    return { bytes: Buffer.from(input, 'utf8'), contentType: 'text/plain; charset=utf-8' };
  }
  if (input instanceof Uint8Array) return { bytes: Uint8Array.from(input), contentType: 'application/octet-stream' };
  return { bytes: Buffer.from(toJson(input)), contentType: 'application/json' };
}

function toJson(input: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(input, (_key, value: unknown) => {
      // They would silently become null, or vanish.
      if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('number');
      if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('function');
      return value;
    });
  } catch {
    throw refused('text, bytes or data that JSON can carry');
  }
  if (text === undefined) throw refused('text, bytes or data that JSON can carry');
  return text;
}

/** What must hold before anything is sent. */
export function assertWritable(
  provider: SecretProvider,
  path: string,
  { bytes }: EncodedInput,
  options: WriteOptions,
): void {
  const { maxValueBytes, emptyValue } = provider.capabilities;
  if (bytes.length > maxValueBytes) {
    const message = `The value for ${path} has ${bytes.length} bytes; ${provider.id} takes ${maxValueBytes} (maxValueBytes).`;
    throw coreError('MNOPS_CORE_TOO_LARGE', message, { details: { path, bytes: bytes.length, maxValueBytes } });
  }
  if (bytes.length === 0 && !emptyValue) throw refused('a value of at least one byte');
  // A misspelt condition or expiry would be a write without one.
  parseOptions('write', writeSchema, options);
}

/** What must hold of the days in which a delete can be undone. */
export function assertRecoveryDays(provider: SecretProvider, days: number | undefined, permanent: boolean): void {
  if (days === undefined) return;
  const { recoveryDays } = provider.capabilities;
  if (recoveryDays === undefined) {
    const message = `The provider ${provider.id} decides by itself how long a delete can be undone.`;
    const remedy = 'Leave `recoveryDays` out.';
    const details = { ability: 'recoveryDays', field: 'recoveryDays' };
    throw new UnsupportedError(message, { provider: provider.id, remedy, details });
  }
  if (permanent) throw refusedField('recoveryDays', 'nothing beside `permanent: true`');
  const { least, most } = recoveryDays;
  if (!(Number.isSafeInteger(days) && days >= least && days <= most))
    throw refusedField('recoveryDays', `a whole number from ${least} to ${most}`);
}

/** The error for an argument of a write that is not what it should be. */
export function refusedField(field: string, expected: string): Error {
  return configError('write', [
    { field, expected, received: 'another value', remedy: `Set \`${field}\` to ${expected}.` },
  ]);
}

function refused(expected: string): Error {
  return refusedField('value', expected);
}
