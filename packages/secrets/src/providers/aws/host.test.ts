import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testCall } from '@mnops/core/testing';
import { type MotoServer, partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { awsSecretsManager } from './index.js';

partSuite({ describe, it }, 'moto', 'the host on moto', (moto) => {
  let server: MotoServer;
  beforeAll(async () => {
    server = await moto.start();
  });
  afterAll(() => server?.stop());

  it('rotates, ends the grace, rolls back, updates and sets an expiry', async () => {
    const { region, credentials, url: endpoint } = server;
    const provider = awsSecretsManager({ region, credentials, endpoint, propagationMs: 0 });
    const folder = await mkdtemp(join(tmpdir(), 'mnops-aws-'));
    let made = 0;
    const secrets = new SecretsManager({
      provider,
      folder,
      audit: false,
      rotations: {
        'api/key': {
          graceMs: 0,
          rotator: {
            specVersion: 1,
            kind: 'rotator',
            id: 'counting',
            capabilities: { overlap: true, strategies: ['single-user'] },
            generate: async () => {
              made += 1;
              return `generated ${made}`;
            },
            apply: async () => undefined,
            verify: async () => undefined,
            revoke: async () => undefined,
          },
        },
      },
    });
    await secrets.create('api/key', 'first', { expiresAt: new Date('2099-01-01') });
    await secrets.start();
    for (const index of [1, 2]) {
      await secrets.rotation.rotate('api/key');
      expect((await secrets.getOrThrow('api/key', { maxAgeMs: 0 })).reveal()).toBe(`generated ${index}`);
    }
    await secrets.rollback('api/key');
    expect((await secrets.getOrThrow('api/key')).reveal()).toBe('generated 1');
    await secrets.update('api/key', (now) => `${now.reveal()} updated`);
    expect((await secrets.getOrThrow('api/key')).reveal()).toBe('generated 1 updated');
    await secrets.setExpiry('api/key', new Date('2098-01-01'));
    const value = await secrets.getOrThrow('api/key', { maxAgeMs: 0 });
    expect(value.expiresAt).toEqual(new Date('2098-01-01'));
    await secrets.stop();
    await provider.close?.(testCall());
    await rm(folder, { recursive: true });
  });
});
