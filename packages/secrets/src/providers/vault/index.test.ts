import { type KeyWrapperSubject, keyWrapperContract, secretProviderContract, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { hashicorpVault, type VaultAuth, vaultTransitKey } from './index.js';
import { fakeLogins, type VaultFake, vaultFake } from './vault.fake.js';

const { roleId, secretId, username, password, role, jwt } = fakeLogins;

secretProviderContract({ describe, it }, 'vault, fake, with a token', async () => {
  const fake = await vaultFake();
  const provider = hashicorpVault({ address: fake.url, auth: { token: fake.rootToken } });
  return {
    provider,
    faults: fake,
    answersNameSecret: false, // an engine answers with the data alone
    secrets: [fake.rootToken],
    leasePath: 'database/creds/readonly',
    close: async () => {
      await provider.close?.(testCall());
      await fake.close();
    },
  };
});

const logins: Readonly<Record<string, VaultAuth>> = {
  appRole: { appRole: { roleId, secretId } },
  userpass: { userpass: { username, password } },
  jwt: { jwt: { role, jwt } },
  kubernetes: { kubernetes: { role, jwt } },
};

secretProviderContract({ describe, it }, 'vault, fake, with a sign-in', async () => {
  const fake = await vaultFake();
  const provider = hashicorpVault({ address: `${fake.url}/`, auth: { appRole: { roleId, secretId } } });
  return {
    provider,
    secrets: [secretId, fake.rootToken],
    leasePath: 'database/creds/readonly',
    close: async () => {
      await provider.close?.(testCall());
      await fake.close();
    },
  };
});

secretProviderContract({ describe, it }, 'vault, fake, KV version 1', async () => {
  const fake = await vaultFake();
  const auth = { token: fake.rootToken };
  const provider = hashicorpVault({ address: fake.url, auth, mount: 'plain', kvVersion: 1 });
  return {
    provider,
    faults: fake,
    answersNameSecret: false, // an engine answers with the data alone
    secrets: [fake.rootToken],
    leasePath: 'database/creds/readonly',
    close: async () => {
      await provider.close?.(testCall());
      await fake.close();
    },
  };
});

keyWrapperContract({ describe, it }, 'vault transit, fake', async () => {
  const fake = await vaultFake();
  const options = { address: fake.url, auth: { token: fake.rootToken } };
  const [provider, same, other] = ['one', 'one', 'two'].map((key) => vaultTransitKey({ ...options, key }));
  const close = async (): Promise<void> => {
    for (const wrapper of [provider, same, other]) await wrapper?.close?.(testCall());
    await fake.close();
  };
  return { provider, same, other, secrets: [fake.rootToken], close } as KeyWrapperSubject;
});

let fake: VaultFake | undefined;

afterEach(async () => {
  await fake?.close();
  fake = undefined;
});

describe('hashicorpVault', () => {
  it.each(Object.entries(logins))('signs in with %s, once for many', async (_, auth) => {
    fake = await vaultFake();
    const provider = hashicorpVault({ address: fake.url, auth });
    await Promise.all(Array.from({ length: 20 }, (_each, index) => provider.get(`a/${index}`, {}, testCall())));
    expect(fake.requests.filter(({ url }) => url.includes('/login')).length).toBe(1);
    await provider.close?.(testCall());
  });

  it('finds out which version of the KV engine it has, once, and uses it', async () => {
    fake = await vaultFake();
    const auth = { token: fake.rootToken };
    const secrets = new SecretsManager({ provider: hashicorpVault({ address: fake.url, auth, mount: 'plain' }) });
    await secrets.start();
    await secrets.put('db/login', { user: 'app', password: 'p' });
    await secrets.put('text', 'x');
    expect([...fake.plain.secrets]).toEqual([
      ['db/login', { user: 'app', password: 'p' }],
      ['text', { value: 'x' }],
    ]);
    expect((await secrets.getOrThrow('db/login')).field('password')).toBe('p');
    const refused: (() => Promise<unknown>)[] = [
      () => secrets.create('new', 'x'),
      () => secrets.put('text', 'y', { expiresAt: new Date(Date.now() + 60_000) }),
      () => secrets.put('text', 'y', { stage: 'pending' }),
      () => secrets.setExpiry('text', null),
      () => secrets.rollback('text'),
      () => secrets.delete('text'),
      () => secrets.restore('text'),
    ];
    for (const run of refused) await expect(run()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    await secrets.delete('text', { permanent: true });
    expect([...fake.plain.secrets.keys()]).toEqual(['db/login']);
    expect(fake.requests.filter(({ url }) => url.includes('ui/mounts')).length).toBe(1);
    await secrets.stop();
  });

  it('takes an engine for version 2 where Vault does not tell, and gives fields of version 1 back sorted', async () => {
    fake = await vaultFake();
    const auth = { token: fake.rootToken };
    fake.denied.add('sys/internal/ui/mounts/secret');
    const two = hashicorpVault({ address: fake.url, auth });
    await two.open?.(testCall());
    expect(two.capabilities.versionIds).toBe('integer');
    await two.close?.(testCall());
    const one = hashicorpVault({ address: fake.url, auth, mount: 'plain', kvVersion: 1 });
    const value = Buffer.from('{"b":"1","a":"2"}');
    const options = { token: 't', stages: ['current'], contentType: 'application/json' };
    await one.put('unsorted', value, options, testCall());
    expect(fake.plain.secrets.get('unsorted')).toEqual({ a: '2', b: '1' });
    const stored = await one.get('unsorted', {}, testCall());
    expect(Buffer.from(stored?.value ?? []).toString()).toBe('{"a":"2","b":"1"}');
    await one.close?.(testCall());
  });
});
