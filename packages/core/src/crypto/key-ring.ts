import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import type { Call } from '../spi/base.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';

/** The key that seals, and those that still open what was sealed before. */
export interface KeyRing {
  readonly kind: 'key-ring';
  readonly current: KeyWrapper;
  readonly previous: readonly KeyWrapper[];
}

/** Makes a key ring: `current` seals, `previous` only open. Keys with the same id are tried one after the other. */
export function keyRing(current: KeyWrapper, previous: readonly KeyWrapper[] = []): KeyRing {
  return Object.freeze({ kind: 'key-ring', current, previous: Object.freeze([...previous]) });
}

/** Unwraps a data key with whichever key of the ring bears the id; a wrong one makes the next be tried. */
export async function unwrapWith(
  keys: KeyRing | KeyWrapper,
  keyId: string,
  wrapped: Uint8Array,
  context: Uint8Array,
  call: Call,
): Promise<Uint8Array> {
  const all = keys.kind === 'key-ring' ? [keys.current, ...keys.previous] : [keys];
  let failure: unknown;
  for (const wrapper of all.filter((candidate) => candidate.keyId === keyId)) {
    try {
      return await wrapper.unwrap(keyId, wrapped, context, call);
    } catch (error) {
      if (!MnopsError.is(error, 'MNOPS_CORE_KEY_INVALID')) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  throw coreError('MNOPS_CORE_KEY_INVALID', 'The data was sealed with a key that was not given.', {
    remedy: 'Give the key whose id stands in `details.keyId`, as the current one or among the previous.',
    details: { keyId, given: all.map((wrapper) => wrapper.keyId) },
  });
}
