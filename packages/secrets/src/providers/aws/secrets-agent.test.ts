import { callOf } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { secretProviderContract, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AwsAgentFake, awsAgentFake } from './aws-agent.fake.js';
import { type AwsSecretsFake, awsSecretsFake } from './aws-secrets.fake.js';
import { awsSecretsAgent, awsSecretsManager } from './index.js';

let secrets: AwsSecretsFake;
let agent: AwsAgentFake;
let writer: SecretProvider;
async function open(): Promise<SecretProvider> {
  secrets = await awsSecretsFake();
  agent = await awsAgentFake(secrets);
  const { region, credentials, url: endpoint } = secrets;
  writer = awsSecretsManager({ region, credentials, endpoint });
  return awsSecretsAgent({ endpoint: agent.url, token: agent.token });
}
async function close(provider: SecretProvider): Promise<void> {
  for (const one of [provider, writer]) await one.close?.(testCall());
  await agent.close();
  await secrets.close();
}
async function put(path: string, value: string | Uint8Array, stages: readonly string[] = ['current']) {
  const how = { token: `token for ${path} ${String(value)}`, stages };
  return await writer.put(path, Buffer.from(value), how, callOf());
}

secretProviderContract({ describe, it }, 'awsSecretsAgent on a fake', async () => {
  const provider = await open();
  const seed = async (path: string, value: string) => void (await put(path, value));
  return { provider, seed, faults: agent, secrets: [agent.token], close: () => close(provider) };
});

describe('awsSecretsAgent', () => {
  let provider: SecretProvider;
  beforeEach(async () => {
    provider = await open();
  });
  afterEach(() => close(provider));

  it('reads each stage and version, bytes and dates, and asks the agent to look anew', async () => {
    const first = await put('db/löin', 'one');
    await put('db/löin', Buffer.from([0, 255, 1]));
    const current = await provider.get('db/löin', {}, testCall());
    expect(Buffer.from(current?.value ?? [])).toEqual(Buffer.from([0, 255, 1]));
    expect(current?.createdAtMs).toBeGreaterThan(Date.now() - 60_000);
    const previous = await provider.get('db/löin', { stage: 'previous' }, testCall());
    expect(previous).toMatchObject({ version: first.version, stages: ['previous'] });
    expect(await provider.get('db/löin', { version: first.version }, testCall())).toEqual(previous);
    expect(await provider.get('db/löin', { version: first.version, stage: 'current' }, testCall())).toBeUndefined();
    expect(agent.requests.every(({ url }) => url.includes('refreshNow=true'))).toBe(true);
    expect(agent.requests[0]?.url).toContain('versionStage=AWSCURRENT');
  });

  it('refuses an answer about another secret or version', async () => {
    const { version } = await put('a', 'one');
    const answered = { Name: 'a', VersionId: version, SecretString: 'canary', VersionStages: ['AWSCURRENT'] };
    for (const wrong of [{ Name: 'b' }, { Name: undefined }, { VersionId: 'b'.repeat(32) }]) {
      const body = JSON.stringify({ ...answered, ...wrong });
      for (const [server, from] of [
        [agent, provider],
        [secrets, writer],
      ] as const) {
        server.handler(() => ({ headers: { 'content-type': 'application/x-amz-json-1.1' }, body }));
        await expect(from.get('a', { version }, testCall())).rejects.toMatchObject({
          code: 'MNOPS_CORE_RESPONSE_INVALID',
          message: expect.not.stringContaining('canary'),
        });
      }
    }
  });

  it('keeps the other secrets of a batch when one has no value', async () => {
    const { version: VersionId } = await put('a', 'one');
    const answer = { VersionId, VersionStages: ['AWSCURRENT'] };
    const body = JSON.stringify({
      SecretValues: [
        { ...answer, Name: 'a', SecretString: 'one' },
        { ...answer, Name: 'b' },
      ],
    });
    secrets.handler(() => ({ headers: { 'content-type': 'application/x-amz-json-1.1' }, body }));
    const many = await writer.getMany?.(['a', 'b'], testCall());
    expect([many?.found.has('a'), many?.failed.get('b')]).toMatchObject([
      true,
      { code: 'MNOPS_CORE_RESPONSE_INVALID' },
    ]);
  });

  it('tells a refused token, a denied reader and a deleted secret apart', async () => {
    await put('a', 'one');
    const stranger = awsSecretsAgent({ endpoint: agent.url, token: 'wrong-token-canary' });
    const error = await stranger.get('a', {}, testCall()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED', remedy: expect.stringContaining('token') });
    expect(String(error)).not.toContain('canary');
    await stranger.close?.(testCall());
    secrets.denied.add('GetSecretValue');
    await expect(provider.get('a', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_ACCESS_DENIED',
      details: { reason: 'AccessDeniedException' },
    });
    secrets.denied.clear();
    await writer.delete('a', {}, testCall());
    await expect(provider.get('a', {}, testCall())).rejects.toMatchObject({
      code: 'MNOPS_SECRETS_VERSION_UNAVAILABLE',
    });
  });

  it('sends its token to this machine only', () => {
    for (const endpoint of ['http://agent.example.com:2773', 'https://127.0.0.1:2773', 'http://10.0.0.1'])
      expect(() => awsSecretsAgent({ endpoint, token: 't' })).toThrow('endpoint');
  });
});
