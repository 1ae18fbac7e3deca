import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import { systemClock } from '@mnops/core';
import type { HttpClient, HttpResponse, RequestInput } from '@mnops/core/http';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AzureFake, azureFake } from './azure.fake.js';
import { type AzureKeyVaultOptions, azureKeyVault } from './index.js';

const call = testCall();
let fake: AzureFake;

beforeEach(async () => {
  fake = await azureFake({ pageSize: 2 });
});
afterEach(() => fake.close());

function provider(options: Partial<AzureKeyVaultOptions> = {}) {
  const { vaultUrl, client, credential } = fake;
  return azureKeyVault({ vaultUrl, client, credential, pollIntervalMs: 1, ...options });
}

function put(path: string, value: string) {
  const token = `${path} ${value}`;
  return provider().put(path, Buffer.from(value), { token, stages: ['current'] }, call);
}

describe('signing in', () => {
  it('refuses a challenge for another host’s resource, and asks for no token', async () => {
    let asked = 0;
    const credential = {
      getToken: async () => {
        asked += 1;
        return { token: fake.token, expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    for (const resource of [
      'https://vault.example.net',
      'https://evil.test',
      'https://net',
      'http://vault.azure.net',
    ]) {
      fake.resource = resource;
      const vault = provider({ credential });
      await expect(vault.get('db/login', {}, call), resource).rejects.toMatchObject({
        code: 'MNOPS_CORE_UNAUTHENTICATED',
      });
    }
    expect(asked).toBe(0);
  });

  it('sends neither token nor value before the challenge', async () => {
    await put('db/login', 'hunter2-value');
    const [first, second] = fake.requests;
    expect(first?.headers['authorization']).toBeUndefined();
    expect(String(first?.body)).not.toContain('hunter2-value');
    expect(second?.headers['authorization']).toBe(`Bearer ${fake.token}`);
  });

  it('takes one token for many requests, and another one shortly before its end', async () => {
    let asked = 0;
    let now = Date.now();
    const credential = {
      getToken: async () => {
        asked += 1;
        return { token: fake.token, expiresOnTimestamp: now + 600_000 };
      },
    };
    const vault = provider({ credential, clock: { ...systemClock(), now: () => now } });
    await Promise.all(Array.from({ length: 10 }, () => vault.get('db/login', {}, call)));
    expect(asked).toBe(1);
    now += 500_000;
    await vault.get('db/login', {}, call);
    expect(asked).toBe(2);
  });

  it('shows nothing of what a credential’s failure holds', async () => {
    const credential = { getToken: () => Promise.reject(new Error('POST https://login client_secret=hunter2')) };
    const error: unknown = await provider({ credential })
      .get('db/login', {}, call)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_CORE_UNAUTHENTICATED' });
    expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
  });
});

describe('answers that lead elsewhere', () => {
  it('are not followed: the token stays with the vault', async () => {
    for (const path of ['a', 'b', 'c']) await put(path, 'x');
    const hosts: string[] = [];
    for (const nextLink of [
      'https://evil.test/secrets?x=1',
      'https://fake.vault.azure.net.evil.test/secrets',
      '/keys?x=1',
    ]) {
      const request = async (input: RequestInput): Promise<HttpResponse> => {
        hosts.push(new URL(input.url).host);
        const response = await fake.client.request({ ...input });
        if (response.status !== 200) return response;
        const page = { ...response.json<object>(), nextLink };
        return { ...response, status: 200, headers: response.headers, json: <T>() => page as T };
      };
      const client: HttpClient = { ...fake.client, request: request as HttpClient['request'] };
      const listing = async () => {
        for await (const _ of provider({ client }).list('', call)) hosts.push('fake.vault.azure.net');
      };
      await expect(listing(), nextLink).rejects.toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID' });
    }
    expect(new Set(hosts)).toEqual(new Set(['fake.vault.azure.net']));
  });
});

describe('a name that waits to be purged', () => {
  it('is refused by its own code', async () => {
    await put('db/login', 'x');
    await provider().delete('db/login', {}, call);
    await expect(put('db/login', 'y')).rejects.toMatchObject({ code: 'MNOPS_SECRETS_PENDING_DELETION' });
  });
});

/** Carries the requests of Azure's own client to the fake. */
function carrier(): SecretClientOptions {
  const httpClient: NonNullable<SecretClientOptions['httpClient']> = {
    sendRequest: async (request) => {
      const response = await fake.client.request({
        method: request.method as 'GET',
        url: request.url,
        headers: Object.fromEntries(request.headers),
        ...(typeof request.body === 'string' ? { body: request.body } : {}),
      });
      const headers = new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
      return {
        request,
        status: response.status,
        headers: {
          get: (name) => headers.get(name.toLowerCase()),
          has: (name) => headers.has(name.toLowerCase()),
          set: (name, value) => void headers.set(name.toLowerCase(), String(value)),
          delete: (name) => void headers.delete(name.toLowerCase()),
          toJSON: () => Object.fromEntries(headers),
          [Symbol.iterator]: () => headers[Symbol.iterator](),
        },
        bodyAsText: response.text(),
      };
    },
  };
  return { httpClient, retryOptions: { maxRetries: 0 } };
}

describe('Azure’s own client', () => {
  it('reads what this provider wrote, and the other way round, on the same fake', async () => {
    const official = new SecretClient(fake.vaultUrl, fake.credential as never, carrier());
    const vault = provider();
    const { version } = await put('login', 'ours');
    const read = await official.getSecret('login');
    expect([read.value, read.properties.version]).toEqual(['ours', version]);

    const set = await official.setSecret('theirs', 'written by the other', { contentType: 'text/x-test' });
    const stored = await vault.get('theirs', {}, call);
    expect(Buffer.from(stored?.value ?? '').toString()).toBe('written by the other');
    expect(stored?.version).toBe(set.properties.version);
    expect((await vault.get('theirs', { version: set.properties.version }, call))?.contentType).toBe('text/x-test');

    await official.setSecret('theirs', 'second');
    expect((await vault.get('theirs', { version: set.properties.version }, call))?.version).toBe(
      set.properties.version,
    );
    await official.updateSecretProperties('theirs', (await official.getSecret('theirs')).properties.version ?? '', {
      enabled: false,
    });
    await expect(vault.get('theirs', {}, call)).rejects.toMatchObject({ code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE' });

    const names: string[] = [];
    for await (const { name } of official.listPropertiesOfSecrets()) names.push(name);
    expect(names.sort()).toEqual(['login', 'theirs']);
    const versions: (string | undefined)[] = [];
    for await (const each of official.listPropertiesOfSecretVersions('theirs')) versions.push(each.version);
    expect(versions).toHaveLength(2);

    const poller = await official.beginDeleteSecret('login', { intervalInMs: 1 });
    await poller.pollUntilDone();
    await expect(official.getSecret('login')).rejects.toMatchObject({ statusCode: 404 });
    expect((await vault.describe('login', call))?.deletedAtMs).toBeDefined();
    await vault.restore?.('login', {}, call);
    expect((await official.getSecret('login')).value).toBe('ours');
    await vault.delete('login', { permanent: true }, call);
    await expect(official.getDeletedSecret('login')).rejects.toMatchObject({ statusCode: 404 });
    await expect(official.setSecret('not a name', 'x')).rejects.toBeDefined();
  });
});
