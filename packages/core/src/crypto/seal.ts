import { type KeyObject, randomBytes } from 'node:crypto';
import { type AssociatedData, encodeAssociated } from './associated.js';
import { gcmOpen, gcmSeal, integrityError, nonceBytes, tagBytes } from './primitives.js';

const sealVersion = 1;
const overheadBytes: number = 1 + nonceBytes + tagBytes;

/**
 * The plaintext sealed with AES-256-GCM under a random 96-bit nonce: version (1 byte), nonce (12), ciphertext, tag (16).
 *
 * One key may seal 2^32 times; where that could be reached, use an envelope, whose data keys are used once.
 *
 * @param key - 32 random bytes, not a password.
 * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` for a key of another length.
 */
export function seal(key: Uint8Array | KeyObject, plaintext: Uint8Array, associated: AssociatedData): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const ciphertext = gcmSeal(key, nonce, plaintext, encodeAssociated(['mnops-seal', sealVersion, ...associated]));
  return Buffer.concat([Buffer.of(sealVersion), nonce, ciphertext]);
}

/**
 * What was sealed, in memory of its own that the caller may overwrite.
 *
 * @throws {MnopsError} `MNOPS_CORE_INTEGRITY` when the key, the associated data or any bit of the sealed bytes differs.
 */
export function open(key: Uint8Array | KeyObject, sealed: Uint8Array, associated: AssociatedData): Uint8Array {
  if (sealed.length < overheadBytes) throw integrityError('it is too short');
  if (sealed[0] !== sealVersion) throw integrityError('it has another format');
  const nonce = sealed.subarray(1, 1 + nonceBytes);
  const bound = encodeAssociated(['mnops-seal', sealVersion, ...associated]);
  return gcmOpen(key, nonce, sealed.subarray(1 + nonceBytes), bound);
}
