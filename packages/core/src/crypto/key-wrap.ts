import { randomBytes } from 'node:crypto';
import { coreError } from '../errors/core-error.js';
import {
  constantTimeEqual,
  gcmOpen,
  gcmSeal,
  hkdf,
  integrityError,
  keyBytes,
  nonceBytes,
  tagBytes,
} from './primitives.js';

const wrapVersion = 1;
const checkBytes = 8;
const saltBytes = 16;
const saltAt = 1 + checkBytes;
const nonceAt: number = saltAt + saltBytes;
const sealedAt: number = nonceAt + nonceBytes;
const wrappedBytes: number = sealedAt + keyBytes + tagBytes;
const noSalt = new Uint8Array(0);

/**
 * A data key wrapped with a key of 32 bytes: version (1 byte), key check (8), salt (16), nonce (12), the sealed key (32)
 * and its tag (16).
 *
 * Each wrap derives a key of its own from the salt, so that random nonces never become a limit. The check tells a wrong
 * key from damage; it is derived one way, so it says nothing about the key.
 */
export function wrapDataKey(key: Uint8Array, dataKey: Uint8Array, context: Uint8Array): Buffer {
  const salt = randomBytes(saltBytes);
  const nonce = randomBytes(nonceBytes);
  const own = hkdf(key, salt, 'mnops-key-wrap-1', keyBytes);
  const head = Buffer.concat([Buffer.of(wrapVersion), keyCheck(key)]);
  return Buffer.concat([head, salt, nonce, gcmSeal(own, nonce, dataKey, Buffer.concat([head, context]))]);
}

/** The data key of `wrapDataKey`. */
export function unwrapDataKey(key: Uint8Array, wrapped: Uint8Array, context: Uint8Array): Buffer {
  if (wrapped.length !== wrappedBytes || wrapped[0] !== wrapVersion) throw integrityError('its wrapped key is damaged');
  if (!constantTimeEqual(wrapped.subarray(1, saltAt), keyCheck(key))) {
    throw coreError('MNOPS_CORE_KEY_INVALID', 'The data was sealed with another key.');
  }
  const own = hkdf(key, wrapped.subarray(saltAt, nonceAt), 'mnops-key-wrap-1', keyBytes);
  const bound = Buffer.concat([wrapped.subarray(0, saltAt), context]);
  return gcmOpen(own, wrapped.subarray(nonceAt, sealedAt), wrapped.subarray(sealedAt), bound);
}

/** Eight bytes that name a key without telling it. */
export function keyCheck(key: Uint8Array): Uint8Array {
  return hkdf(key, noSalt, 'mnops-key-check-1', checkBytes);
}
