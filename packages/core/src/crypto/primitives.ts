import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  type KeyObject,
  pbkdf2 as nodePbkdf2,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import { coreError } from '../errors/core-error.js';

const cipher: CipherGCMTypes = 'aes-256-gcm';
/** Bytes of an AES-256 key. */
export const keyBytes = 32;
/** Bytes of a GCM nonce. */
export const nonceBytes = 12;
/** Bytes of a GCM tag. Node would accept shorter ones unless told. */
export const tagBytes = 16;
const derive = promisify(nodePbkdf2);

/** Ciphertext and tag of AES-256-GCM (NIST SP 800-38D) under a nonce that the key never saw. */
export function gcmSeal(
  key: Uint8Array | KeyObject,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Buffer {
  checkKey(key);
  checkNonce(nonce);
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  sealing.setAAD(associated);
  return Buffer.concat([sealing.update(plaintext), sealing.final(), sealing.getAuthTag()]);
}

/**
 * The plaintext of `gcmSeal`, in memory of its own.
 *
 * @throws {MnopsError} `MNOPS_CORE_INTEGRITY` when anything differs from what was sealed.
 */
export function gcmOpen(
  key: Uint8Array | KeyObject,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Buffer {
  checkKey(key);
  checkNonce(nonce);
  if (sealed.length < tagBytes) throw integrityError('it is too short');
  const opening = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  opening.setAAD(associated);
  opening.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plaintext = opening.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    opening.final();
  } catch {
    plaintext.fill(0);
    throw integrityError('its tag does not match');
  }
  return plaintext;
}

/**
 * Key material derived with HKDF-SHA-256 (RFC 5869).
 *
 * @param length - Bytes, 1 to 8,160.
 * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` for a length that HKDF cannot give.
 */
export function hkdf(key: Uint8Array, salt: Uint8Array, info: Uint8Array | string, length: number): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > 255 * 32) {
    throw coreError('MNOPS_CORE_KEY_INVALID', `HKDF-SHA-256 gives 1 to 8160 bytes, not ${length}.`);
  }
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}

/** What a key is derived from a password with. */
export interface Pbkdf2Options {
  readonly password: Uint8Array | string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  /** Bytes wanted. Default 32. */
  readonly length?: number | undefined;
  /** Default `sha256`. */
  readonly hash?: 'sha256' | 'sha512' | undefined;
}

/** Key material derived with PBKDF2-HMAC (RFC 8018), off the main thread. It sets no floor: `passphraseKey` does. */
export async function pbkdf2(options: Pbkdf2Options): Promise<Uint8Array> {
  const { password, salt, iterations, length = keyBytes, hash = 'sha256' } = options;
  return derive(password, salt, iterations, length, hash);
}

/** HMAC-SHA-256 (RFC 2104), 32 bytes. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Whether two byte strings are equal, in a time that tells nothing but whether their lengths are. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The error of data that does not authenticate. */
export function integrityError(why: string): Error {
  return coreError('MNOPS_CORE_INTEGRITY', `Sealed data cannot be opened: ${why}.`);
}

function checkKey(key: Uint8Array | KeyObject): void {
  const length = key instanceof Uint8Array ? key.length : key.symmetricKeySize;
  if (length === keyBytes) return;
  throw coreError('MNOPS_CORE_KEY_INVALID', `A key must have ${keyBytes} bytes, not ${length ?? 'an unknown number'}.`);
}

function checkNonce(nonce: Uint8Array): void {
  if (nonce.length === nonceBytes) return;
  throw coreError('MNOPS_CORE_INTEGRITY', `A nonce must have ${nonceBytes} bytes, not ${nonce.length}.`);
}
