import { randomBytes } from 'node:crypto';
import { configError, countSchema, parseOptions } from '@mnops/core/config';
import type { Rotator } from '@mnops/core/spi';
import * as v from 'valibot';
import { passwordMaker, plainAlphabet } from './password.js';

/** What a random value looks like: so many `bytes`, or `length` characters of an `alphabet`. */
export interface RandomValueOptions {
  /** Random bytes, written in base64url; at least 10. Default 32. */
  readonly bytes?: number | undefined;
  /** Characters, in place of `bytes`. */
  readonly length?: number | undefined;
  /** The characters that may occur, each once. Default: letters and digits. */
  readonly alphabet?: string | undefined;
}

const optionsSchema = v.strictObject({
  bytes: v.optional(v.pipe(countSchema, v.minValue(10), v.maxValue(1_024))),
  length: v.optional(v.pipe(countSchema, v.maxValue(1_024))),
  alphabet: v.optional(v.string()),
});

/**
 * Rotates a value that only its readers check, such as a token between two services: they accept what a handle's
 * `accepted` holds, the old value too until its grace ends. Nothing else is changed.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`, also for fewer than 80 bits, and for `bytes` beside `length` or
 * `alphabet`.
 */
export function randomValue(options: RandomValueOptions = {}): Rotator {
  const { bytes, length, alphabet } = parseOptions('randomValue', optionsSchema, options);
  const hasCharacters = length !== undefined || alphabet !== undefined;
  if (bytes !== undefined && hasCharacters) {
    const remedy = 'Give either `bytes`, or `length` and `alphabet`.';
    throw configError('randomValue', [
      { field: 'bytes', expected: 'nothing beside length or alphabet', received: 'both', remedy },
    ]);
  }
  const make = hasCharacters
    ? passwordMaker('randomValue', { length, alphabet: alphabet ?? plainAlphabet })
    : () => randomBytes(bytes ?? 32).toString('base64url');
  return {
    specVersion: 1,
    kind: 'rotator',
    id: 'random-value',
    capabilities: { strategies: ['single-user'], overlap: true },
    generate: async () => make(),
    apply: async () => undefined,
    verify: async () => undefined,
    revoke: async () => undefined,
    discard: async () => undefined,
  };
}
