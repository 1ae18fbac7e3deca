import { codeOf, coreError } from '@mnops/core';

/**
 * Loads an optional package at its first use.
 *
 * @throws {MnopsError} `MNOPS_CORE_DEPENDENCY_MISSING` with the `npm install` line when it is not installed. Any other
 * failure of the package is passed on.
 */
export async function loadPeer<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw coreError('MNOPS_CORE_DEPENDENCY_MISSING', `${purpose} needs ${name}: npm install ${name}`, {
      remedy: `Run \`npm install ${name}\`.`,
      details: { dependency: name },
    });
  }
}
