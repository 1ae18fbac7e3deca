import type { Call, Spi } from './base.js';

/**
 * Wraps data keys with a key that it keeps to itself: a passphrase, a key file, a key management service.
 *
 * The context is authenticated with the wrapped key: the same bytes must be given to unwrap it.
 */
export interface KeyWrapper extends Spi<'key-wrapper'> {
  /** Name of the wrapping key, 1 to 255 bytes of UTF-8. It is stored in the open beside what it wrapped. */
  readonly keyId: string;
  /** The data key (32 bytes), wrapped. Two calls with the same key and context give different bytes. */
  wrap(dataKey: Uint8Array, context: Uint8Array, call: Call): Promise<Uint8Array>;
  /**
   * The data key again.
   *
   * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` when it was wrapped with another key, `MNOPS_CORE_INTEGRITY` when the
   * wrapped key or its context was changed; which of the two it is may not always be known.
   */
  unwrap(keyId: string, wrapped: Uint8Array, context: Uint8Array, call: Call): Promise<Uint8Array>;
}
