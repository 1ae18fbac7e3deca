import { type KeyWrapperSubject, keyWrapperContract, secretProviderContract, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
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
});
