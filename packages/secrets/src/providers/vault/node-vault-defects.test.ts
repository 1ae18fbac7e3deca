import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { eventually, fakeClock, testCall } from '@mnops/core/testing';
import nodeVault from 'node-vault';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { VaultConnection } from './connection.js';
import { hashicorpVault } from './index.js';
import { type VaultFake, vaultFake } from './vault.fake.js';

/** The copy of `debug` that node-vault prints with. */
const debug = createRequire(createRequire(import.meta.url).resolve('node-vault'))('debug') as {
  enable(names: string): void;
  disable(): void;
};

/** What node-vault 0.12 does wrong by itself, each held against this provider on the same server. */
describe('what node-vault does, and this provider does not', () => {
  let fake: VaultFake;
  const written = 'plaintext-canary-31f0';

  beforeEach(async () => {
    fake = await vaultFake();
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await fake.close();
  });

  const providerOf = (): ReturnType<typeof hashicorpVault> =>
    hashicorpVault({ address: fake.url, auth: { token: fake.rootToken } });
  const put = { token: 'write-1', stages: ['current'] };

  it('shows token and plaintext in a network error', async () => {
    const shownBy = async (run: () => Promise<unknown>): Promise<string> => {
      const error = (await run().catch((caught: unknown) => caught)) as Error;
      expect(error).toBeInstanceOf(Error);
      return `${inspect(error, { depth: 20, showHidden: true })}${JSON.stringify(error)}${error.stack}`;
    };
    const stock = nodeVault({ endpoint: fake.url, token: fake.rootToken });
    breakAfter(fake, 0);
    const theirs = await shownBy(() => stock.write('secret/data/a', { data: { value: written } }));
    expect(theirs).toContain(written);
    expect(theirs).toContain(fake.rootToken);
    const provider = providerOf();
    // A write is several requests; the connection breaks at each of them in turn.
    for (let before = 0; before < 4; before += 1) {
      breakAfter(fake, before);
      const options = { ...put, token: `write-${before}` };
      const shown = await shownBy(() => provider.put(`a${before}`, Buffer.from(written), options, testCall()));
      expect(shown).not.toContain(written);
      expect(shown).not.toContain(fake.rootToken);
    }
    await provider.close?.(testCall());
  });

  it('prints what is written with DEBUG=node-vault', async () => {
    const printed: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
    debug.enable('*');
    try {
      const stock = nodeVault({ endpoint: fake.url, token: fake.rootToken });
      await stock.write('secret/data/a', { data: { value: written } });
      expect(printed.join('')).toContain(written);
      printed.length = 0;
      const provider = providerOf();
      await provider.put('b', Buffer.from(written), put, testCall());
      expect((await provider.get('b', {}, testCall()))?.version).toBe('1');
      await provider.close?.(testCall());
      expect(printed.join('')).toBe('');
    } finally {
      debug.disable();
    }
  });

  it('says "Status 404" for a deleted version', async () => {
    const provider = providerOf();
    await provider.put('a', Buffer.from(written), put, testCall());
    await provider.delete('a', {}, testCall());
    const stock = nodeVault({ endpoint: fake.url, token: fake.rootToken });
    await expect(stock.read('secret/data/a')).rejects.toThrow('Status 404');
    await expect(provider.get('a', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE',
      details: { state: 'deleted' },
    });
    await provider.close?.(testCall());
  });

  it('leaves the mount and adds a query by way of a path', async () => {
    const stock = nodeVault({ endpoint: fake.url, token: fake.rootToken });
    await stock.read('secret/data/../../sys/x?y=1').catch(() => undefined);
    expect(fake.requests.at(-1)?.url).toBe('/v1/sys/x?y=1');
    fake.reset();
    const provider = providerOf();
    await expect(provider.get('../../sys/x?y=1', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_PATH_INVALID',
    });
    expect(fake.requests.length).toBe(0);
    await provider.get("a'b=c&d?e=f#g/%2e%2e/h", {}, testCall());
    expect(fake.requests.at(-1)?.url).toBe('/v1/secret/data/a%27b%3Dc%26d%3Fe%3Df%23g/%252e%252e/h');
    await provider.close?.(testCall());
  });

  it('sends an address that is not in normal form elsewhere', async () => {
    const connection = new VaultConnection({ address: `${fake.url}/a/../b`, auth: { token: fake.rootToken } });
    const request = { method: 'GET', path: 'sys/health', operation: 'test', repeatable: true } as const;
    await expect(connection.request(request, testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect(fake.requests.length).toBe(0);
    await connection.close();
  });

  it('lets the environment say whose token, which namespace and which path it is', async () => {
    vi.stubEnv('VAULT_TOKEN', 'token-of-the-environment');
    vi.stubEnv('VAULT_NAMESPACE', 'namespace-of-the-environment');
    vi.stubEnv('VAULT_PREFIX', '/prefix');
    vi.stubEnv('VAULT_ADDR', 'http://127.0.0.1:9');
    const stock = nodeVault({ endpoint: fake.url });
    await stock.read('secret/data/a').catch(() => undefined);
    expect(fake.requests.at(-1)).toMatchObject({ url: '/v1/prefix/secret/data/a' });
    expect(fake.requests.at(-1)?.headers).toMatchObject({ 'x-vault-token': 'token-of-the-environment' });
    const provider = providerOf();
    expect(await provider.get('a', {}, testCall())).toBeUndefined();
    const { url, headers } = fake.requests.at(-1) ?? { url: '', headers: {} as Record<string, string> };
    expect(url).toBe('/v1/secret/data/a');
    expect(headers['x-vault-token']).toBe(fake.rootToken);
    expect(headers).not.toHaveProperty('x-vault-namespace');
    await provider.close?.(testCall());
  });

  it('loses the token of a patch', async () => {
    const stock = nodeVault({ endpoint: fake.url });
    const options = { headers: { 'X-Vault-Token': fake.rootToken } };
    await stock.update('secret/metadata/a', { custom_metadata: {} }, options).catch(() => undefined);
    expect(fake.requests.at(-1)?.headers).not.toHaveProperty('x-vault-token');
    const provider = providerOf();
    await provider.put('a', Buffer.from('x'), put, testCall());
    await provider.annotate?.('a', { annotations: { note: 'kept' } }, testCall());
    const patch = fake.requests.findLast(({ method }) => method === 'PATCH');
    expect(patch?.headers).toMatchObject({
      'x-vault-token': fake.rootToken,
      'content-type': 'application/merge-patch+json',
    });
    expect((await provider.describe('a', testCall()))?.annotations).toEqual({ note: 'kept' });
    await provider.close?.(testCall());
  });

  it('renews in a hot loop with a token of 768 h, and goes on after it was stopped', async () => {
    let renewals = 0;
    const server = createServer((_, response) => {
      renewals += 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ auth: { client_token: 't', lease_duration: 2_764_800, renewable: true } }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const mustache = { render: (template: string) => template };
    const stock = nodeVault({ endpoint, token: 't', mustache } as never) as unknown as {
      startTokenRenewal(options: { ttl: number }): Promise<unknown>;
      stopTokenRenewal(): void;
    };
    await stock.startTokenRenewal({ ttl: 2_764_800 });
    await eventually(() => renewals >= 3);
    stock.stopTokenRenewal();
    warned.mockRestore();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    stock.stopTokenRenewal();
    const clock = fakeClock();
    const provider = hashicorpVault({
      clock,
      kvVersion: 2,
      address: fake.url,
      auth: { appRole: { roleId: 'fake-role-id', secretId: 'fake-secret-id-5f2c' } },
    });
    await provider.open?.(testCall());
    await clock.advance(22 * 86_400_000);
    expect(fake.requests.map(({ url }) => url)).toEqual(['/v1/auth/approle/login']);
    await provider.close?.(testCall());
    expect(clock.pending).toBe(0);
  });
});

/** Lets some requests through and breaks the connection of the next one. */
function breakAfter(fake: VaultFake, count: number): void {
  let left = count;
  if (left === 0) fake.next('reset');
  fake.handler((request) => {
    left -= 1;
    if (left === 0) fake.next('reset');
    return fake.answer(request);
  });
}
