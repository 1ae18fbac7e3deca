import type { Recoverable } from '@mnops/core/spi';

/** What is known of the recoverable before anything of it is loaded. */
export const recoverableIdentity: Pick<Recoverable, 'specVersion' | 'kind' | 'id' | 'capabilities'> = {
  specVersion: 1,
  kind: 'recoverable',
  id: 'apm',
  capabilities: { pointInTime: 'snapshot', isolatedRestore: true, inPlace: false },
};
