import { secretProviderContract, testCall } from '@mnops/core/testing';
import { type MotoServer, partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awsSecretsFake } from './aws-secrets.fake.js';
import { awsSecretsManager } from './index.js';

secretProviderContract({ describe, it }, 'awsSecretsManager on a fake', async () => {
  const fake = await awsSecretsFake({ pageSize: 2 });
  const { region, credentials, url: endpoint } = fake;
  const provider = awsSecretsManager({ region, credentials, endpoint });
  const close = async () => {
    await provider.close?.(testCall());
    await fake.close();
  };
  return { provider, faults: fake, secrets: [credentials.secretAccessKey], close };
});

partSuite({ describe, it }, 'moto', 'awsSecretsManager on moto', (moto) => {
  let server: MotoServer;
  beforeAll(async () => {
    server = await moto.start();
  });
  afterAll(() => server?.stop());

  secretProviderContract({ describe, it }, 'awsSecretsManager on moto', async () => {
    await server.reset();
    const { region, credentials, url: endpoint } = server;
    const provider = awsSecretsManager({ region, credentials, endpoint });
    return { provider, secrets: [credentials.secretAccessKey], close: async () => provider.close?.(testCall()) };
  });
});
