import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { httpClient, signAwsRequest } from '@mnops/core/http';
import { keyWrapperContract, testCall } from '@mnops/core/testing';
import { type MotoServer, partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsKmsFake } from './aws-kms.fake.js';
import { awsKmsKey } from './kms-key.js';

keyWrapperContract({ describe, it }, 'awsKmsKey on a fake', async () => {
  const fake = await awsKmsFake();
  const { region, credentials, url: endpoint } = fake;
  const place = { region, credentials, endpoint };
  const [keyId, otherId] = [fake.createKey(), fake.createKey()];
  const wrappers = [keyId, keyId, otherId].map((id) => awsKmsKey({ ...place, keyId: id }));
  const [provider, same, other] = wrappers as [(typeof wrappers)[0], (typeof wrappers)[0], (typeof wrappers)[0]];
  const close = async () => {
    for (const wrapper of wrappers) await wrapper.close?.(testCall());
    await fake.close();
  };
  return { provider, same, other, faults: fake, secrets: [credentials.secretAccessKey], close };
});

describe('awsKmsKey', () => {
  const keyId = 'arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const credentials = { accessKeyId: 'AKIA', secretAccessKey: 'canary-s3cret' };

  it('refuses an alias, an address in clear, and what it does not know', () => {
    const options = { keyId, region: 'eu-central-1', credentials };
    for (const [changed, field] of [
      [{ keyId: 'alias/app' }, 'keyId'],
      [{ endpoint: 'http://kms.example.com' }, 'endpoint'],
      [{ region: 'Frankfurt' }, 'region'],
      [{ profile: 'x' }, 'profile'],
    ] as const) {
      const wrong = { ...options, ...changed };
      expect(() => awsKmsKey(wrong)).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }));
      expect(() => awsKmsKey(wrong)).toThrow(field);
    }
  });

  it('tells refusals apart, and shows nothing of keys', async () => {
    const fake = await awsKmsFake();
    const id = fake.createKey();
    const secretAccessKey = 'canary-s3cret';
    const place = { region: fake.region, endpoint: fake.url };
    const key = awsKmsKey({ ...place, keyId: id, credentials: { ...fake.credentials, secretAccessKey } });
    const dataKey = randomBytes(32);
    const wrapped = await key.wrap(dataKey, Buffer.from('x'), testCall());
    const body = (type: string) => ({ __type: `com.amazonaws.kms#${type}`, message: dataKey.toString('base64') });
    for (const [type, code] of [
      ['AccessDeniedException', 'MNOPS_CORE_ACCESS_DENIED'],
      ['ThrottlingException', 'MNOPS_CORE_THROTTLED'],
      ['ExpiredTokenException', 'MNOPS_CORE_UNAUTHENTICATED'],
      ['KMSInternalException', 'MNOPS_CORE_UNAVAILABLE'],
      ['DisabledException', 'MNOPS_CORE_KEY_INVALID'],
    ] as const) {
      for (const run of [
        () => key.wrap(dataKey, Buffer.from('x'), testCall()),
        () => key.unwrap(id, wrapped, Buffer.from('x'), testCall()),
      ]) {
        fake.next({ status: 400, body: body(type) });
        const error = await run().catch((caught: unknown) => caught);
        expect(error).toMatchObject({ code });
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(dataKey.toString('base64'));
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secretAccessKey);
      }
    }
    fake.next({ body: { KeyId: keyId, Plaintext: dataKey.toString('base64') } });
    const error = await key.unwrap(id, wrapped, Buffer.from('x'), testCall()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
    await key.close?.(testCall());
    await fake.close();
  });
});

partSuite({ describe, it }, 'moto', 'awsKmsKey on moto', (moto) => {
  let server: MotoServer;
  beforeAll(async () => {
    server = await moto.start();
  });
  afterAll(() => server?.stop());

  keyWrapperContract({ describe, it }, 'awsKmsKey on moto', async () => {
    const { region, credentials, url: endpoint } = server;
    const [keyId, otherId] = [await createKey(server), await createKey(server)];
    const wrappers = [keyId, keyId, otherId].map((id) => awsKmsKey({ region, credentials, endpoint, keyId: id }));
    const [provider, same, other] = wrappers as [(typeof wrappers)[0], (typeof wrappers)[0], (typeof wrappers)[0]];
    const close = async () => {
      for (const wrapper of wrappers) await wrapper.close?.(testCall());
    };
    return { provider, same, other, secrets: [credentials.secretAccessKey], close };
  });
});

async function createKey({ url, region, credentials }: MotoServer): Promise<string> {
  const client = httpClient();
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.CreateKey' };
  const request = { method: 'POST', url, headers, body: '{}' };
  const signed = signAwsRequest(request, { credentials, region, service: 'kms', atMs: Date.now() });
  const response = await client.request({ ...request, headers: { ...headers, ...signed } });
  await client.close();
  return response.json<{ readonly KeyMetadata: { readonly Arn: string } }>().KeyMetadata.Arn;
}
