import { inspect } from 'node:util';
import type { HttpClient } from '@mnops/core/http';
import type { JsonValue, SecretProvider, SecretPutOptions } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.js';
import { type GcpFake, gcpFake } from './gcp.fake.js';
import { gcpSecretManager } from './index.js';

for (const location of [undefined, 'europe-west3']) {
  secretProviderContract({ describe, it }, `gcpSecretManager on a fake, ${location ?? 'global'}`, async () => {
    const fake = await gcpFake({ pageSize: 2 });
    const { project, accessToken, url: endpoint } = fake;
    const provider = gcpSecretManager({ project, accessToken, endpoint, location });
    const close = async () => {
      await provider.close?.(testCall());
      await fake.close();
    };
    return { provider, faults: fake, secrets: [accessToken], close };
  });
}

describe('gcpSecretManager', () => {
  let fake: GcpFake;
  let provider: SecretProvider;
  let asked = 0;
  beforeEach(async () => {
    fake = await gcpFake();
    asked = 0;
    const accessToken = () => {
      asked += 1;
      return fake.accessToken;
    };
    provider = gcpSecretManager({ project: fake.project, accessToken, endpoint: fake.url });
  });
  afterEach(async () => {
    await provider.close?.(testCall());
    await fake.close();
  });
  const put = (path: string, value: string, options: Partial<SecretPutOptions> = {}) =>
    provider.put(path, Buffer.from(value), { token: `${path} ${value}`, stages: ['current'], ...options }, testCall());

  it('refuses a value that does not match its checksum, or has none', async () => {
    await put('a', 'value-s3cret');
    const known = await (
      await fetch(`${fake.url}/v1/projects/test-project/secrets/a`, {
        headers: { authorization: `Bearer ${fake.accessToken}` },
      })
    ).json();
    const data = Buffer.from('value-s3cret').toString('base64');
    for (const payload of [{ data, dataCrc32c: '1' }, { data }]) {
      fake.next([{ body: known as JsonValue }, { body: { name: 'projects/1/secrets/a/versions/1', payload } }]);
      const error = await provider.get('a', {}, testCall()).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MNOPS_CORE_INTEGRITY', retryable: true });
      expect(inspect(error, { depth: 9 })).not.toMatch(/s3cret|dmFsdWUtczNjcmV0/);
    }
    expect(await provider.get('a', {}, testCall())).toMatchObject({ version: '1' });
  });

  it('sends the checksum, and fails when Google did not see it', async () => {
    await put('a', 'one');
    const sent = JSON.parse(fake.requests.find(({ url }) => url.endsWith(':addVersion'))?.text() ?? '{}');
    expect(sent).toEqual({ payload: { data: 'b25l', dataCrc32c: String(crc32c(Buffer.from('one'))) } });
    expect(fake.requests.some(({ url }) => url.includes('latest'))).toBe(false);
    const headers = { authorization: `Bearer ${fake.accessToken}` };
    const known = await (await fetch(`${fake.url}/v1/projects/test-project/secrets/a`, { headers })).json();
    const version = { name: 'projects/1/secrets/a/versions/2', state: 'ENABLED', createTime: '2026-01-01T00:00:00Z' };
    fake.next([{ body: known as JsonValue }, { body: version }]);
    await expect(put('a', 'two')).rejects.toMatchObject({ code: 'MNOPS_CORE_INTEGRITY' });
    expect(await provider.get('a', {}, testCall())).toMatchObject({ version: '1' });
  });

  it('moves current, previous and pending in one request, and reads by number', async () => {
    await put('a', 'one');
    await put('a', 'two', { stages: ['pending'] });
    fake.reset();
    await provider.setStage?.('a', 'current', { from: '1', to: '2' }, testCall());
    const changes = fake.requests.filter(({ method }) => method === 'PATCH');
    expect(changes).toHaveLength(1);
    const { versionAliases, etag } = JSON.parse(changes[0]?.text() ?? '{}');
    expect(versionAliases).toEqual({ current: '2', previous: '1' });
    expect(etag).toMatch(/^"\d+"$/);
    await provider.get('a', { stage: 'previous' }, testCall());
    expect(fake.requests.at(-1)?.url).toMatch(/\/versions\/1:access$/);
  });

  it('does a change anew when the secret changed meanwhile', async () => {
    await put('a', 'one');
    const stored = fake.secrets.get('projects/test-project/secrets/a');
    await Promise.all(
      ['b', 'c', 'd'].map((name) => provider.annotate?.('a', { annotations: { [name]: '1' } }, testCall())),
    );
    expect((await provider.describe('a', testCall()))?.annotations).toEqual({ b: '1', c: '1', d: '1' });
    const [raced] = await Promise.all([
      put('a', 'two', { ifVersion: '1' }),
      provider.annotate?.('a', { annotations: { e: '1' } }, testCall()),
    ]);
    expect(raced.version).toBe('2');
    expect(stored?.versionAliases).toEqual({ current: '2', previous: '1' });
  });

  it('leaves no version behind whose condition did not hold', async () => {
    await put('a', 'one');
    const stored = fake.secrets.get('projects/test-project/secrets/a');
    await expect(put('a', 'two', { ifVersion: '7' })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    expect(stored?.versions).toHaveLength(1);
    const racing = await Promise.allSettled(['x', 'y', 'z'].map((value) => put('a', value, { ifVersion: '1' })));
    expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(stored?.versions.filter(({ state }) => state === 'ENABLED')).toHaveLength(2);
  });

  it('deletes a secret softly by disabling what was enabled, and enables the same again', async () => {
    for (const value of ['one', 'two', 'three']) await put('a', value);
    await provider.delete('a', { versions: ['1'] }, testCall());
    await provider.delete('a', {}, testCall());
    await provider.delete('a', {}, testCall());
    const { versions } = fake.secrets.get('projects/test-project/secrets/a') ?? { versions: [] };
    expect(versions.map(({ state }) => state)).toEqual(['DISABLED', 'DISABLED', 'DISABLED']);
    await provider.restore?.('a', {}, testCall());
    expect(versions.map(({ state }) => state)).toEqual(['DISABLED', 'ENABLED', 'ENABLED']);
    await provider.restore?.('a', { versions: ['1'] }, testCall());
    expect(versions.map(({ state }) => state)).toEqual(['ENABLED', 'ENABLED', 'ENABLED']);
    expect((await provider.describe('a', testCall()))?.deletedAtMs).toBeUndefined();
  });

  it('a value written to a deleted secret makes it readable again', async () => {
    await put('a', 'one');
    await provider.delete('a', {}, testCall());
    await expect(put('a', 'two', { ifVersion: null })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    await put('a', 'two');
    expect(await provider.get('a', {}, testCall())).toMatchObject({ version: '2' });
    const previous = provider.get('a', { stage: 'previous' }, testCall());
    await expect(previous).rejects.toMatchObject({ details: { state: 'deleted' } });
  });

  it('keeps tags as labels where they fit, else in the annotation, within its limit', async () => {
    await put('a', 'one', { tags: { team: 'a', Owner: 'Ops Team' } });
    const stored = fake.secrets.get('projects/test-project/secrets/a');
    expect(stored?.labels).toEqual({ team: 'a' });
    expect((await provider.describe('a', testCall()))?.tags).toEqual({ team: 'a', Owner: 'Ops Team' });
    await put('a', 'two');
    expect((await provider.describe('a', testCall()))?.tags).toEqual({ team: 'a', Owner: 'Ops Team' });
    const tooLong = put('a', 'three', { tags: { Text: 'x'.repeat(16_000) } });
    await expect(tooLong).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
  });

  it('says so when somebody damaged the annotation', async () => {
    await put('a', 'one');
    const stored = fake.secrets.get('projects/test-project/secrets/a');
    for (const mnops of ['{', '[]', '{"v":{"1":2}}', '{"deleted":"yes"}', '{"tags":{"a":1}}']) {
      if (stored !== undefined) stored.annotations = { mnops };
      await expect(provider.get('a', {}, testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID' });
    }
  });

  it('takes the token at each request, and refuses to send it in clear', async () => {
    await provider.get('a', {}, testCall());
    await provider.get('a', {}, testCall());
    expect(asked).toBe(2);
    const options = { project: fake.project, accessToken: 'x' };
    for (const wrong of [
      { ...options, endpoint: 'http://secrets.example.com' },
      { ...options, project: '../other' },
      { ...options, location: 'x/../y' },
      { ...options, tokens: 1 },
    ])
      expect(() => gcpSecretManager(wrong)).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
  });

  it('addresses global and regional secrets of Google by default', async () => {
    const seen: string[] = [];
    const client: HttpClient = {
      request: async ({ url }: { url: string | URL }) => {
        seen.push(String(url));
        return { status: 404, headers: {}, bytes: Buffer.alloc(0), text: () => '', json: () => null } as never;
      },
      close: async () => undefined,
    };
    for (const location of [undefined, 'europe-west3']) {
      const remote = gcpSecretManager({ project: 'my-project', location, accessToken: 'x', client });
      expect(await remote.get('db/login', {}, testCall())).toBeUndefined();
    }
    expect(seen).toEqual([
      'https://secretmanager.googleapis.com/v1/projects/my-project/secrets/db__login',
      'https://secretmanager.europe-west3.rep.googleapis.com/v1/projects/my-project/locations/europe-west3/secrets/db__login',
    ]);
  });

  it('refuses what it cannot keep before anything is sent', async () => {
    await expect(put('a', '')).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    await expect(put('a', 'x'.repeat(65_537))).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
    for (const stage of ['latest', '1st', 'a b'])
      await expect(put('a', 'x', { stages: [stage] })).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    expect(fake.requests).toHaveLength(0);
  });
});
