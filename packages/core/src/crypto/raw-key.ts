import * as v from 'valibot';
import { parseOptions, textSchema } from '../config/index.js';
import { kindOf } from '../config/parse-options.js';
import { coreError } from '../errors/core-error.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { keyCheck, unwrapDataKey, wrapDataKey } from './key-wrap.js';
import { keyBytes } from './primitives.js';

/** How a raw key is named. */
export interface RawKeyOptions {
  /** Name stored beside what the key wrapped. Default: `raw-` and 16 hexadecimal digits that follow from the key. */
  readonly keyId?: string | undefined;
}

const optionsSchema = v.strictObject({ keyId: v.optional(textSchema) });

/**
 * A key wrapper around 32 random bytes that the caller has from elsewhere. The bytes are copied.
 *
 * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` when there are not 32 bytes; `MNOPS_CORE_CONFIG_INVALID` for the options.
 */
export function rawKey(key: Uint8Array, options: RawKeyOptions = {}): KeyWrapper {
  if (!(key instanceof Uint8Array) || key.length !== keyBytes) {
    const given: unknown = key;
    const received = given instanceof Uint8Array ? `${given.length} bytes` : kindOf(given);
    throw coreError('MNOPS_CORE_KEY_INVALID', `A raw key must have ${keyBytes} bytes, received ${received}.`, {
      remedy: `Pass ${keyBytes} bytes as a Uint8Array, such as \`Buffer.from(text, 'base64')\`.`,
    });
  }
  parseOptions('rawKey', optionsSchema, options);
  const own = Uint8Array.from(key);
  return {
    specVersion: 1,
    kind: 'key-wrapper',
    id: 'raw-key',
    keyId: options.keyId ?? `raw-${Buffer.from(keyCheck(own)).toString('hex')}`,
    wrap: async (dataKey, context, call) => {
      call.signal.throwIfAborted();
      return wrapDataKey(own, dataKey, context);
    },
    unwrap: async (_keyId, wrapped, context, call) => {
      call.signal.throwIfAborted();
      return unwrapDataKey(own, wrapped, context);
    },
  };
}
