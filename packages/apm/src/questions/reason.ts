import { codeOf } from '@mnops/core';

/** Why something failed, without the words of the failure: they may be anybody's and hold anything. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code !== undefined && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : 'an error without a code';
}
