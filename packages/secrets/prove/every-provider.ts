import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rawKey } from '@mnops/core/crypto';
import type { SecretProvider } from '@mnops/core/spi';
import { type FaultScript, kubernetesFake } from '@mnops/core/testing';
import { encryptedFile, environment, fallback, memory, merge, mirror, mountedFiles, route } from '../src/index.js';
import { awsSecretsManager } from '../src/providers/aws/index.js';
import { azureKeyVault } from '../src/providers/azure/index.js';
import { gcpSecretManager } from '../src/providers/gcp/index.js';
import { kubernetesSecrets } from '../src/providers/kubernetes/index.js';
import { hashicorpVault } from '../src/providers/vault/index.js';
import { vaultFake } from '../src/providers/vault/vault.fake.js';
import { awsSecretsFake, azureFake, gcpFake } from '../src/testing/index.js';

/** One back end for a trial, and what makes it fail where it is a server. */
export interface ProviderSubject {
  readonly provider: SecretProvider;
  readonly faults?: FaultScript | undefined;
  /** Path that issues credentials, where it can. */
  readonly leasePath?: string | undefined;
  close?(): Promise<void>;
}

/** Where a trial keeps its files, and what it looks for. */
export interface Place {
  readonly folder: string;
  readonly canary: string;
}

/** Makes every back end of the package, those that are servers on their fakes. */
export const everyProvider: Readonly<Record<string, (place: Place) => Promise<ProviderSubject> | ProviderSubject>> = {
  memory: () => ({ provider: memory() }),
  encryptedFile: ({ folder }) => ({
    provider: encryptedFile({ file: join(folder, 'secrets.vault'), key: rawKey(Buffer.alloc(32, 7)) }),
  }),
  async vault() {
    const fake = await vaultFake();
    const provider = hashicorpVault({ address: fake.url, auth: { token: fake.rootToken } });
    return { provider, faults: fake, leasePath: 'database/creds/readonly', close: () => fake.close() };
  },
  async aws() {
    const fake = await awsSecretsFake();
    const { region, credentials, url: endpoint } = fake;
    return { provider: awsSecretsManager({ region, credentials, endpoint }), faults: fake, close: () => fake.close() };
  },
  async gcp() {
    const fake = await gcpFake();
    const { project, accessToken, url: endpoint } = fake;
    return { provider: gcpSecretManager({ project, accessToken, endpoint }), faults: fake, close: () => fake.close() };
  },
  async azure() {
    const fake = await azureFake();
    const { vaultUrl, client, credential } = fake;
    const provider = azureKeyVault({ vaultUrl, client, credential, pollIntervalMs: 1 });
    return { provider, faults: fake, close: () => fake.close() };
  },
  async kubernetes() {
    const fake = await kubernetesFake();
    fake.tokens.add('token');
    const cluster = { access: { server: fake.url, token: 'token' } };
    return { provider: kubernetesSecrets({ namespace: 'apps', cluster }), faults: fake, close: () => fake.close() };
  },
  environment: ({ canary }) => ({ provider: environment({ prefix: 'APP_', env: { APP_A: canary, APP_B: canary } }) }),
  mountedFiles({ folder, canary }) {
    // Beside the folder of the host, whose files are looked at.
    const mounted = mkdtempSync(join(tmpdir(), 'mnops-mounted-'));
    for (const name of ['a', 'b']) writeFileSync(join(mounted, name), canary);
    const close = async (): Promise<void> => rmSync(mounted, { recursive: true });
    mkdirSync(folder, { recursive: true });
    return { provider: mountedFiles({ folder: mounted }), close };
  },
  fallback: () => ({ provider: fallback([memory(), memory()]) }),
  merge: ({ canary }) => ({ provider: merge([memory(), memory({ values: { a: `{"password":"${canary}"}` } })]) }),
  mirror: () => ({ provider: mirror([memory(), memory()]) }),
  route: () => ({ provider: route({ '': memory() }) }),
};
