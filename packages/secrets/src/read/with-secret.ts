import { coreError } from '@mnops/core';
import type { SecretValue } from '@mnops/core/spi';
import type { ReadOptions } from '../secret-operations.js';

/**
 * Uses a secret; when it was refused, tries what else may be right by now. During a rotation that is, in this order: the
 * newest current value, the pending one (the target has it, the store has not promoted it), and the current one once more
 * (promoted between the two looks). Without `isAuthError` the use runs once: it may not be safe to repeat.
 */
export async function useSecret<T>(
  path: string,
  read: (options: ReadOptions) => Promise<SecretValue | undefined>,
  use: (secret: SecretValue) => Promise<T>,
  isAuthError: ((error: unknown) => boolean) | undefined,
): Promise<T> {
  const looks: readonly ReadOptions[] = [{}, { maxAgeMs: 0 }, { stage: 'pending', maxAgeMs: 0 }, { maxAgeMs: 0 }];
  const tried = new Set<string>();
  let refusal: unknown;
  for (const [index, look] of looks.entries()) {
    const value = await readLook(read, look, index > 1);
    if (value === undefined) {
      if (index > 0) continue;
      throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}.`, { details: { path } });
    }
    if (tried.has(value.version)) continue;
    tried.add(value.version);
    try {
      return await use(value);
    } catch (error) {
      if (isAuthError === undefined || !isAuthError(error)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

/** The later looks are chances: that one of them fails must not hide why the value was refused. */
async function readLook(
  read: (options: ReadOptions) => Promise<SecretValue | undefined>,
  look: ReadOptions,
  optional: boolean,
): Promise<SecretValue | undefined> {
  try {
    return await read(look);
  } catch (error) {
    if (optional) return undefined;
    throw error;
  }
}
