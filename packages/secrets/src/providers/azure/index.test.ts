import { secretProviderContract, testCall } from '@mnops/core/testing';
import { describe, it } from 'vitest';
import { azureFake } from './azure.fake.js';
import { azureKeyVault } from './index.js';

secretProviderContract({ describe, it }, 'azureKeyVault on a fake', async () => {
  const fake = await azureFake({ pageSize: 2, deletionLag: 1 });
  const { vaultUrl, client, credential, token } = fake;
  const provider = azureKeyVault({ vaultUrl, client, credential, pollIntervalMs: 1 });
  const close = async () => {
    await provider.close?.(testCall());
    await fake.close();
  };
  return { provider, faults: fake, secrets: [token], close };
});
