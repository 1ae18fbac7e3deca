import { randomBytes } from 'node:crypto';
import type { Rotator } from '@mnops/secrets';

/**
 * Rotates the credential that catalog shows to orders. Both read it from the vault, so nothing has to be told to anybody:
 * orders accepts what the vault marks as current, previous in its grace time, or pending.
 */
export function credentialRotator(ordersUrl: () => string): Rotator {
  return {
    specVersion: 1,
    kind: 'rotator',
    id: 'shop-credential',
    capabilities: { strategies: ['single-user'], overlap: true },
    generate: async () => randomBytes(24).toString('base64url'),
    apply: async () => undefined,
    async verify({ pending, call }) {
      // The services read the vault again within a second; until then orders does not know the new value.
      for (;;) {
        call.signal.throwIfAborted();
        if ((await tryCredential(ordersUrl(), pending.reveal())) === 200) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    revoke: async () => undefined,
  };
}

/** Status that orders answers a credential with. */
export async function tryCredential(ordersUrl: string, credential: string): Promise<number> {
  const response = await fetch(`${ordersUrl}/stock/sku-1`, {
    headers: { authorization: `Bearer ${credential}` },
    signal: AbortSignal.timeout(2_000),
  });
  await response.arrayBuffer();
  return response.status;
}
