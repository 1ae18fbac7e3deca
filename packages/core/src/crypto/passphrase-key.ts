import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { credential } from '../call.js';
import { configError, credentialSchema, parseOptions, textSchema } from '../config/index.js';
import { coreError } from '../errors/core-error.js';
import type { Call, Credential } from '../spi/base.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { unwrapDataKey, wrapDataKey } from './key-wrap.js';
import { hmac, integrityError, keyBytes, pbkdf2 } from './primitives.js';

/** What a passphrase key is made from. */
export interface PassphraseKeyOptions {
  /** Text, a function, or a `secret://` reference. It is taken as NFC and UTF-8, at each use anew. */
  readonly passphrase: Credential;
  /** PBKDF2-HMAC-SHA-256 iterations for what is sealed from now on, 600,000 to 10,000,000. Default 600,000. */
  readonly iterations?: number | undefined;
  /** Name stored beside what the key wrapped. Default `passphrase`. */
  readonly keyId?: string | undefined;
}

/** Least iterations for sealing: what OWASP asks of PBKDF2-HMAC-SHA-256. */
export const sealingIterations = 600_000;
/** Least iterations that are opened, for older data. */
export const openingIterations = 100_000;
/** Most iterations that are tried: a forged file must not occupy the machine. */
export const mostIterations = 10_000_000;

const optionsSchema = v.strictObject({
  passphrase: credentialSchema,
  iterations: v.optional(v.number()),
  keyId: v.optional(textSchema),
});

const blobVersion = 1;
const saltBytes = 16;
const headBytes: number = 1 + 4 + saltBytes;
const mostCachedKeys = 32;

/**
 * A key wrapper whose key is derived from a passphrase with PBKDF2-HMAC-SHA-256.
 *
 * A wrapped key carries salt and iterations, both authenticated. Deriving costs about 0.2 s, once per salt: the wrapper
 * keeps up to 32 derived keys, and seals with the salt that it last opened with, so data written by many processes does
 * not collect salts.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for wrong options, such as iterations out of bounds. Opening: `MNOPS_CORE_KEY_INVALID` for a
 * wrong or empty passphrase, `MNOPS_CORE_INTEGRITY` below 100,000 or above 10,000,000 iterations.
 */
export function passphraseKey(options: PassphraseKeyOptions): KeyWrapper {
  if (typeof options === 'string' || typeof options === 'function') throw passphraseAlone(typeof options);
  parseOptions('passphraseKey', optionsSchema, options);
  const { passphrase, iterations = sealingIterations, keyId = 'passphrase' } = options;
  checkIterations(iterations);
  const derived = new Map<string, Promise<Uint8Array>>();
  // So that the names of cached keys say nothing about the passphrase.
  const cacheKey = randomBytes(keyBytes);
  let sealingSalt: Uint8Array | undefined;

  async function keyFor(salt: Uint8Array, rounds: number, call: Call): Promise<Uint8Array> {
    const text = (await credential(passphrase, call)).normalize('NFC');
    if (text === '') throw coreError('MNOPS_CORE_KEY_INVALID', 'The passphrase is empty.');
    call.signal.throwIfAborted();
    const name = hmac(cacheKey, salt, Buffer.from(`${rounds} ${text}`, 'utf8')).toString('base64');
    let key = derived.get(name);
    if (key === undefined) {
      key = pbkdf2({ password: text, salt, iterations: rounds, length: keyBytes });
      if (derived.size >= mostCachedKeys) derived.delete(derived.keys().next().value as string);
      derived.set(name, key);
    }
    return key;
  }

  async function wrap(dataKey: Uint8Array, context: Uint8Array, call: Call): Promise<Uint8Array> {
    sealingSalt ??= randomBytes(saltBytes);
    const head = encodeHead(iterations, sealingSalt);
    const key = await keyFor(sealingSalt, iterations, call);
    return Buffer.concat([head, wrapDataKey(key, dataKey, Buffer.concat([head, context]))]);
  }

  async function unwrap(_keyId: string, wrapped: Uint8Array, context: Uint8Array, call: Call): Promise<Uint8Array> {
    const { rounds, salt } = decodeHead(wrapped);
    const key = await keyFor(salt, rounds, call);
    const head = wrapped.subarray(0, headBytes);
    const dataKey = unwrapDataKey(key, wrapped.subarray(headBytes), Buffer.concat([head, context]));
    if (rounds === iterations) sealingSalt = salt;
    return dataKey;
  }

  return { specVersion: 1, kind: 'key-wrapper', id: 'passphrase-key', keyId, wrap, unwrap };
}

function passphraseAlone(received: string): Error {
  const remedy = 'Write `passphraseKey({ passphrase })`.';
  return configError('passphraseKey', [{ field: '', expected: 'an object with `passphrase`', received, remedy }]);
}

/** Version (1 byte), iterations (4, big-endian), salt (16); the wrapped key follows. */
export function encodeHead(iterations: number, salt: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head[0] = blobVersion;
  head.writeUInt32BE(iterations, 1);
  head.set(salt, 5);
  return head;
}

function decodeHead(wrapped: Uint8Array): { readonly rounds: number; readonly salt: Uint8Array } {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength);
  if (bytes.length <= headBytes || bytes[0] !== blobVersion) throw integrityError('its wrapped key is damaged');
  const rounds = bytes.readUInt32BE(1);
  if (rounds < openingIterations || rounds > mostIterations) {
    throw integrityError(
      `its key was derived with ${rounds} iterations; ${openingIterations} to ${mostIterations} are accepted`,
    );
  }
  return { rounds, salt: Uint8Array.from(bytes.subarray(5, headBytes)) };
}

function checkIterations(iterations: number): void {
  if (Number.isInteger(iterations) && iterations >= sealingIterations && iterations <= mostIterations) return;
  const expected = `a whole number from ${sealingIterations} to ${mostIterations}`;
  const remedy = 'Leave `iterations` out for the default of 600000.';
  throw coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid options of passphraseKey: iterations: expected ${expected}.`, {
    details: { issues: [{ field: 'iterations', expected, received: typeof iterations, remedy }] },
    remedy,
  });
}
