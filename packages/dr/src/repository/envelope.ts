import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import { poly1305 } from './poly1305.js';

/** Bytes that sealing adds: a 16-byte IV before and a 16-byte tag behind the ciphertext. */
export const envelopeOverhead = 32;

/** The keys that every object of a repository is sealed with. */
export interface MasterKey {
  /** AES-256 key, 32 bytes. */
  readonly encrypt: Uint8Array;
  /** AES-128 key that makes the one-time half of the Poly1305 key, 16 bytes. */
  readonly macK: Uint8Array;
  /** The other half, 16 bytes. */
  readonly macR: Uint8Array;
}

/** Seals and opens with one master key. */
export interface Envelope {
  /** IV, AES-256-CTR ciphertext and Poly1305-AES tag, as new parts to be written one behind the other. */
  seal(plaintext: Uint8Array): readonly [iv: Buffer, ciphertext: Buffer, tag: Buffer];
  /** The plaintext, or `undefined` when the bytes are not what was sealed with this key. */
  open(sealed: Uint8Array): Buffer | undefined;
}

const ivPoolBytes = 16_384;

/**
 * Makes the envelope of restic's format ("Keys, Encryption and MAC" in its design document): AES-256-CTR, then
 * Poly1305-AES over the ciphertext with the IV as nonce.
 */
export function envelope(key: MasterKey): Envelope {
  const encryptKey: KeyObject = createSecretKey(key.encrypt);
  // One ECB cipher for all nonces: a block cipher call, not a mode with state.
  const nonceCipher = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  const { tag } = poly1305();
  const oneTime = Buffer.alloc(32);
  oneTime.set(key.macR, 0);
  const pool = Buffer.alloc(ivPoolBytes);
  let used = ivPoolBytes;

  function nextIv(): Buffer {
    if (used === ivPoolBytes) {
      randomFillSync(pool);
      used = 0;
    }
    used += 16;
    return Buffer.from(pool.subarray(used - 16, used));
  }

  function tagOf(iv: Uint8Array, ciphertext: Uint8Array): Buffer {
    oneTime.set(nonceCipher.update(iv), 16);
    return tag(oneTime, ciphertext);
  }

  return {
    seal(plaintext) {
      const iv = nextIv();
      const ciphertext = createCipheriv('aes-256-ctr', encryptKey, iv).update(plaintext);
      return [iv, ciphertext, tagOf(iv, ciphertext)];
    },
    open(sealed) {
      if (sealed.length < envelopeOverhead) return undefined;
      const iv = sealed.subarray(0, 16);
      const ciphertext = sealed.subarray(16, sealed.length - 16);
      if (!timingSafeEqual(tagOf(iv, ciphertext), sealed.subarray(sealed.length - 16))) return undefined;
      return createDecipheriv('aes-256-ctr', encryptKey, iv).update(ciphertext);
    },
  };
}
