import { codeOf, coreError } from '@mnops/core';

/**
 * Loads an optional package at its first use.
 *
 * @param spec - The package as `npm install` takes it, such as `node-vault@0.12`.
 * @param purpose - What needs it, as the beginning of a sentence.
 * @throws {MnopsError} `MNOPS_CORE_DEPENDENCY_MISSING` with the `npm install` line when it is not installed. Any other
 * failure of the package is passed on.
 */
export async function loadPeer<T>(spec: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const name = spec.replace(/(?<!^)@.*$/, '');
    const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(codeOf(error) ?? '');
    // A package that is there and lacks one of its own is another matter.
    if (!missing || !(error instanceof Error && error.message.includes(name))) throw error;
    throw coreError('MNOPS_CORE_DEPENDENCY_MISSING', `${purpose} needs ${name}: \`npm install ${spec}\`.`, {
      remedy: `Run \`npm install ${spec}\`.`,
      details: { dependency: name },
    });
  }
}
