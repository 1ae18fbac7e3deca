import { keyFile } from '@mnops/core/crypto';
import { encryptedFile, SecretsManager } from '@mnops/secrets';
import { required } from './service.js';

/** The vault that the operator writes and the services read. The key file lies apart from the vault. */
export async function openSecrets(): Promise<SecretsManager> {
  const secrets = new SecretsManager({
    provider: encryptedFile({ file: required('SHOP_VAULT'), key: keyFile({ file: required('SHOP_VAULT_KEY') }) }),
  });
  await secrets.start();
  return secrets;
}
