import { inspect } from 'node:util';
import { DescribeSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SecretProvider, SecretPutOptions } from '@mnops/core/spi';
import { fakeClock, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretsManager } from '../../secrets-manager.js';
import { type AwsSecretsFake, awsSecretsFake } from './aws-secrets.fake.js';
import { awsSecretsManager } from './index.js';

let fake: AwsSecretsFake;
let provider: SecretProvider;
beforeEach(async () => {
  fake = await awsSecretsFake({ pageSize: 3 });
  const { region, credentials, url: endpoint } = fake;
  provider = awsSecretsManager({ region, credentials, endpoint });
});
afterEach(async () => {
  await provider.close?.(testCall());
  await fake.close();
});

let puts = 0;
const put = (path: string, value: string, options: Partial<SecretPutOptions> = {}) => {
  puts += 1;
  const token = `story-token-0123456789-0123456789-${puts}`;
  return provider.put(path, Buffer.from(value), { token, stages: ['current'], ...options }, testCall());
};
const asked = (): string[] =>
  fake.requests.map(({ headers }) => String(headers['x-amz-target']).replace('secretsmanager.', ''));
const inputs = () => fake.requests.map((request) => JSON.parse(request.text()) as Record<string, unknown>);

describe('awsSecretsManager', () => {
  it('always asks with a stage or a version, and answers each with its own (the answer for one is never another)', async () => {
    const first = await put('a', 'one');
    await put('a', 'two');
    fake.reset();
    const read = async (at: object) => Buffer.from((await provider.get('a', at, testCall()))?.value ?? []).toString();
    expect([await read({}), await read({ stage: 'previous' }), await read({ version: first.version })]).toEqual([
      'two',
      'one',
      'one',
    ]);
    expect(inputs().map(({ VersionStage, VersionId }) => [VersionStage, VersionId])).toEqual([
      ['AWSCURRENT', undefined],
      ['AWSPREVIOUS', undefined],
      [undefined, first.version],
    ]);
    const { region, credentials, url: endpoint } = fake;
    const secrets = new SecretsManager({
      provider: awsSecretsManager({ region, credentials, endpoint }),
      audit: false,
    });
    expect((await secrets.getOrThrow('a')).reveal()).toBe('two');
    expect((await secrets.getOrThrow('a', { stage: 'previous' })).reveal()).toBe('one');
    await put('a', 'three');
    expect((await secrets.getOrThrow('a')).reveal()).toBe('two');
    expect((await secrets.getOrThrow('a', { maxAgeMs: 0 })).reveal()).toBe('three');
    await secrets.stop();
  });

  it('goes on after an error, at once, and never serves a reader whose right was taken away', async () => {
    await put('a', 'one');
    const { region, credentials, url: endpoint } = fake;
    const clock = fakeClock();
    const secrets = new SecretsManager({
      provider: awsSecretsManager({ region, credentials, endpoint }),
      clock,
      audit: false,
      cache: { ttlMs: 1_000, jitter: 0, staleWhileRevalidateMs: 0, staleOnErrorMs: 3_600_000 },
      retry: { maxAttempts: 1 },
    });
    expect((await secrets.getOrThrow('a')).reveal()).toBe('one');
    await clock.advance(1_500);
    fake.next({ status: 500, body: {} });
    expect(await secrets.getOrThrow('a')).toMatchObject({ stale: true });
    await put('a', 'two');
    expect((await secrets.getOrThrow('a', { maxAgeMs: 0 })).reveal()).toBe('two');
    fake.denied.add('GetSecretValue');
    await clock.advance(1_500);
    await expect(secrets.getOrThrow('a')).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    fake.denied.clear();
    expect((await secrets.getOrThrow('a')).reveal()).toBe('two');
    await secrets.stop();
  });

  it('keeps nothing of an answer that prints the value, and no text of a failure', async () => {
    await put('a', 'canary-s3cret', { contentType: 'text/plain' });
    const stored = await provider.get('a', {}, testCall());
    expect(Object.keys(stored ?? {}).sort()).toEqual(
      ['value', 'version', 'stages', 'createdAtMs', 'expiresAtMs', 'contentType'].sort(),
    );
    expect(`${inspect(stored, { depth: 9 })}${inspect(provider, { depth: 9, showHidden: true })}`).not.toContain(
      's3cret',
    );
    for (const fault of [
      { status: 400, body: { __type: 'InvalidParameterException', message: 'canary-s3cret is wrong' } },
      { status: 200, body: '{"SecretString":"canary-s3cret"' },
      { status: 200, body: { SecretString: 'canary-s3cret', VersionStages: 'canary-s3cret' } },
    ]) {
      fake.next(fault);
      const error = await provider.get('a', {}, testCall()).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID' });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
    }
  });

  it.each([
    ['AccessDeniedException', 'MNOPS_CORE_ACCESS_DENIED', false],
    ['ThrottlingException', 'MNOPS_CORE_THROTTLED', true],
    ['ExpiredTokenException', 'MNOPS_CORE_UNAUTHENTICATED', false],
    ['InternalServiceError', 'MNOPS_CORE_UNAVAILABLE', true],
    ['DecryptionFailure', 'MNOPS_CORE_UNAVAILABLE', false],
  ])('takes %s by its name, whatever the status', async (__type, code, retryable) => {
    for (const status of [400, 404, 500]) {
      fake.next({ status, headers: { 'retry-after': '3' }, body: { __type, message: 'x' } });
      await expect(provider.get('a', {}, testCall())).rejects.toMatchObject({ code, retryable, retryAfterMs: 3_000 });
    }
  });

  it('reads twenty in one request, each with its own outcome and its expiry', async () => {
    const expiresAtMs = Date.UTC(2099, 0, 1);
    await put('a', 'one', { expiresAtMs });
    await put('gone', 'x');
    await provider.delete('gone', { recoveryDays: 7 }, testCall());
    fake.reset();
    const answer = await provider.getMany?.(['a', 'gone', 'absent'], testCall());
    expect(asked()).toEqual(['BatchGetSecretValue']);
    expect(answer?.found.get('a')).toMatchObject({ expiresAtMs, stages: ['current'] });
    expect(answer?.absent).toEqual(['absent']);
    expect(answer?.failed.get('gone')).toMatchObject({ code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE' });
  });

  it('reads one by one where the batch is not allowed, and asks for it no more for a while', async () => {
    await put('a', 'one');
    fake.denied.add('BatchGetSecretValue');
    fake.reset();
    for (const _ of [1, 2]) expect((await provider.getMany?.(['a', 'b'], testCall()))?.found.size).toBe(1);
    expect(asked().filter((name) => name === 'BatchGetSecretValue')).toHaveLength(1);
    fake.denied.add('GetSecretValue');
    const refused = await provider.getMany?.(['a', 'b'], testCall());
    expect([...(refused?.failed.keys() ?? [])]).toEqual(['a', 'b']);
  });

  it('makes room for facts where the labels of a secret are used up', async () => {
    for (let index = 1; index <= 24; index += 1)
      await put('a', `value ${index}`, { expiresAtMs: 4_000_000_000_000 + index });
    expect(await provider.get('a', {}, testCall())).toMatchObject({ expiresAtMs: 4_000_000_000_024 });
    expect(await provider.get('a', { stage: 'previous' }, testCall())).toMatchObject({
      expiresAtMs: 4_000_000_000_023,
    });
    expect((await provider.describe('a', testCall()))?.stages).toEqual({
      current: expect.any(String),
      previous: expect.any(String),
    });
  });

  it('leaves nothing behind that points at the value of a writer who lost', async () => {
    const { version } = await put('a', 'one');
    const writers = [1, 2, 3].map((index) => put('a', `writer ${index}`, { ifVersion: version, expiresAtMs: 4e12 }));
    const outcomes = await Promise.allSettled(writers);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const labelled = [...(fake.secrets.get('a')?.versions.values() ?? [])].filter(({ stages }) => stages.size > 0);
    expect(labelled).toHaveLength(2);
  });

  it('tells a deleted secret from an absent one, and restores it', async () => {
    await put('a', 'one');
    await provider.delete('a', { recoveryDays: 9 }, testCall());
    await provider.delete('a', {}, testCall());
    expect(inputs().find(({ RecoveryWindowInDays }) => RecoveryWindowInDays === 9)).toBeDefined();
    await expect(put('a', 'two')).rejects.toMatchObject({ code: 'MNOPS_SECRETS_PENDING_DELETION' });
    await expect(put('a', 'two', { ifVersion: null })).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_PENDING_DELETION',
    });
    const versions: string[] = [];
    for await (const { state } of provider.listVersions('a', testCall())) versions.push(state);
    expect(versions).toEqual(['deleted']);
    await provider.restore?.('a', {}, testCall());
    expect(await put('a', 'two')).toMatchObject({ state: 'enabled' });
    for (const recoveryDays of [6, 31, 7.5])
      await expect(provider.delete('a', { recoveryDays }, testCall())).rejects.toThrow('recoveryDays');
    await expect(provider.delete('a', { versions: ['x'] }, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNSUPPORTED',
    });
  });

  it('replaces tags, keeps those of the host and of AWS, and takes any text', async () => {
    await put('a', 'one', { tags: { team: 'a', 'odd "key"': '{"json": "ü\n"}' } });
    await provider.annotate?.('a', { annotations: { 'mnops.rotation.grace': '{"version":"x"}' } }, testCall());
    await put('a', 'two', { tags: { team: 'b', '=sly': '=' } });
    const record = await provider.describe('a', testCall());
    expect(record?.tags).toEqual({ team: 'b', '=sly': '=' });
    expect(record?.annotations).toEqual({ 'mnops.rotation.grace': '{"version":"x"}' });
    await expect(put('a', 'x', { tags: { long: 'x'.repeat(257) } })).rejects.toMatchObject({
      code: 'MNOPS_CORE_TOO_LARGE',
    });
  });

  it('lists page by page, with names that only AWS knows left out', async () => {
    for (const path of ['p/a', 'p/b b', 'p/ü', 'p=', 'p=ab', 'q']) await put(path, 'x');
    const list = async (prefix: string): Promise<string[]> => {
      const paths: string[] = [];
      for await (const { path } of provider.list(prefix, testCall())) paths.push(path);
      return paths;
    };
    expect(await list('p/')).toEqual(['p/a', 'p/b b', 'p/ü']);
    expect(await list('p=')).toEqual(['p=', 'p=ab']);
    expect(await list('p=a')).toEqual(['p=ab']);
    expect(await list('')).toHaveLength(6);
  });

  it('follows keys that change, and says what is wrong with options', async () => {
    let secretAccessKey = 'old';
    let accessKeyId = 'AKIAOLD';
    const { region, url: endpoint } = fake;
    const credentials = { accessKeyId: () => accessKeyId, secretAccessKey: () => secretAccessKey };
    const following = awsSecretsManager({ region, endpoint, credentials });
    await expect(following.get('a', {}, testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAUTHENTICATED' });
    ({ accessKeyId, secretAccessKey } = fake.credentials);
    expect(await following.get('a', {}, testCall())).toBeUndefined();
    await following.close?.(testCall());
    for (const wrong of [{ endpoint: 'http://example.com' }, { region: 'x' }, { profile: 'p' }, { client: {} }])
      expect(() => awsSecretsManager({ region, ...(wrong as object) })).toThrow(Object.keys(wrong)[0]);
  });

  it('takes a ready client of the SDK, and tells its failures apart too', async () => {
    await put('a', 'canary-s3cret');
    const { region, credentials, url: endpoint } = fake;
    const client = new SecretsManagerClient({ region, credentials, endpoint, maxAttempts: 1 });
    const given = awsSecretsManager({ region, client });
    expect(Buffer.from((await given.get('a', {}, testCall()))?.value ?? []).toString()).toBe('canary-s3cret');
    fake.next('reset');
    await expect(given.get('a', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAVAILABLE',
      retryable: true,
    });
    fake.next('hang');
    const call = testCall();
    const reason = new Error('enough');
    const reading = given.get('a', {}, call);
    const refused = expect(reading).rejects.toBe(reason);
    const before = fake.requests.length;
    while (fake.requests.length === before) await new Promise((resolve) => setTimeout(resolve, 2));
    call.abort(reason);
    await refused;
    await given.close?.(testCall());
    expect(await client.send(new DescribeSecretCommand({ SecretId: 'a' }))).toMatchObject({ Name: 'a' });
    client.destroy();
  });
});
