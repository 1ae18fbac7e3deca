import { kubernetesFake, secretProviderContract } from '@mnops/core/testing';
import { describe, it } from 'vitest';
import { kubernetesSecrets } from './index.js';

secretProviderContract({ describe, it }, 'kubernetes secrets (fake)', async () => {
  const fake = await kubernetesFake();
  fake.tokens.add('canary-token');
  const cluster = { access: { server: fake.url, token: 'canary-token' } };
  const provider = kubernetesSecrets({ namespace: 'apps', cluster });
  return { provider, faults: fake, secrets: ['canary-token'], close: () => fake.close() };
});
