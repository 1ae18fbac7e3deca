import { secretProviderContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { memory } from './index.js';

secretProviderContract({ describe, it }, 'memory', async () => ({ provider: memory() }));

describe('memory', () => {
  it('begins with the values that it was given', async () => {
    const secrets = new SecretsManager({ provider: memory({ values: { 'db/password': 'p' } }) });
    expect((await secrets.getOrThrow('db/password')).reveal()).toBe('p');
    await secrets.stop();
  });
});
