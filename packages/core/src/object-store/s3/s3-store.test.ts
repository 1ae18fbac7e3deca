import { partSuite } from '@mnops/tooling/parts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../spi/object-store.js';
import { fakeClock } from '../../testing/fake-clock.js';
import { objectStoreContract } from '../../testing/object-store-contract.js';
import { testCall } from '../../testing/test-call.js';
import { type S3Fake, s3Fake } from './s3.fake.js';
import { type S3StoreOptions, s3Store } from './s3-store.js';

function optionsFor(fake: S3Fake): S3StoreOptions {
  const { bucket, url: endpoint, credentials } = fake;
  return { bucket, region: 'us-east-1', endpoint, credentials, pageSize: 7, partBytes: 5_242_880 };
}

objectStoreContract(
  { describe, it },
  's3Store on a fake',
  async () => {
    const fake = await s3Fake();
    const provider = s3Store(optionsFor(fake));
    const secrets = [fake.credentials.secretAccessKey];
    const close = async () => {
      await provider.close?.(testCall());
      await fake.close();
    };
    return { provider, faults: fake, secrets, close };
  },
  { timestampGranularityMs: 2_000, largeBytes: 12_000_000 },
);

objectStoreContract(
  { describe, it },
  's3Store on a fake, with object lock',
  async () => {
    const fake = await s3Fake();
    const provider = s3Store({ ...optionsFor(fake), objectLock: true, singlePutBytes: 100 });
    const close = async () => {
      await provider.close?.(testCall());
      await fake.close();
    };
    return { provider, faults: fake, close };
  },
  { timestampGranularityMs: 2_000 },
);

partSuite({ describe, it }, 'moto', 's3Store on moto', (moto) => {
  let server: Awaited<ReturnType<typeof moto.start>>;
  let buckets = 0;
  beforeAll(async () => {
    server = await moto.start();
  });
  afterAll(() => server.stop());

  async function freshStore(options: Partial<S3StoreOptions> = {}): Promise<ObjectStore> {
    buckets += 1;
    const bucket = `bucket-${buckets}`;
    const lock = options.objectLock === true ? { 'x-amz-bucket-object-lock-enabled': 'true' } : {};
    const made = await fetch(`${server.url}/${bucket}`, { method: 'PUT', headers: lock });
    expect(made.status).toBe(200);
    const { region, credentials, url: endpoint } = server;
    return s3Store({ bucket, region, endpoint, credentials, pageSize: 7, partBytes: 5_242_880, ...options });
  }

  for (const objectLock of [false, true]) {
    objectStoreContract(
      { describe, it },
      `s3Store on moto${objectLock ? ', with object lock' : ''}`,
      async () => {
        const provider = await freshStore({ objectLock });
        return { provider, close: async () => provider.close?.(testCall()) };
      },
      { timestampGranularityMs: 2_000, largeBytes: 12_000_000 },
    );
  }

  it('leaves no parts behind when a stream fails', async () => {
    const store = await freshStore();
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(11_000_000);
      throw new Error('source broke');
    }
    await expect(store.put('a', failing(), testCall())).rejects.toThrow('source broke');
    const uploads = await (await fetch(`${server.url}/bucket-${buckets}?uploads`)).text();
    expect(uploads).not.toContain('<UploadId>');
    await store.close?.(testCall());
  });
});

describe('s3Store', () => {
  let fake: S3Fake;
  let store: ObjectStore;
  beforeEach(async () => {
    fake = await s3Fake();
    store = s3Store(optionsFor(fake));
  });
  afterEach(async () => {
    await store.close?.(testCall());
    await fake.close();
  });

  it('takes each credential at each request, by reference and by function', async () => {
    let reads = 0;
    const rotating = s3Store({
      ...optionsFor(fake),
      credentials: {
        accessKeyId: () => {
          reads += 1;
          return fake.credentials.accessKeyId;
        },
        secretAccessKey: 'secret://aws#key',
        sessionToken: async () => 'session',
      },
    });
    const call = testCall({ secrets: { 'secret://aws#key': fake.credentials.secretAccessKey } });
    await rotating.put('a', Buffer.from('x'), call);
    await rotating.head('a', call);
    expect(reads).toBe(2);
    expect(fake.requests[0]?.headers['x-amz-security-token']).toBe('session');
    await expect(rotating.head('a', testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
    await rotating.close?.(testCall());
  });

  it('addresses AWS by region and bucket, and other servers by path', async () => {
    const seen: string[] = [];
    const client = {
      request: async (input: { url: URL; rawPath: string; headers: Record<string, string> }) => {
        seen.push(`${input.url.href} ${input.rawPath}`);
        return { status: 404, headers: {}, bytes: Buffer.alloc(0), text: () => '', json: () => null };
      },
      close: async () => undefined,
    } as never;
    const base = { credentials: fake.credentials, client, clock: fakeClock() };
    for (const options of [
      { bucket: 'plain', region: 'eu-central-1' },
      { bucket: 'with.dots', region: 'eu-central-1' },
      { bucket: 'plain', region: 'cn-north-1' },
      { bucket: 'plain', region: 'x', endpoint: 'https://store.test:9000/s3/' },
      { bucket: 'plain', region: 'x', endpoint: 'https://store.test', pathStyle: false },
    ]) {
      const other = s3Store({ ...base, ...options });
      await other.head('a/b c', testCall());
      await other.close?.(testCall());
    }
    expect(seen).toEqual([
      'https://plain.s3.eu-central-1.amazonaws.com/ /a/b%20c',
      'https://s3.eu-central-1.amazonaws.com/ /with.dots/a/b%20c',
      'https://plain.s3.cn-north-1.amazonaws.com.cn/ /a/b%20c',
      'https://store.test:9000/ /s3/plain/a/b%20c',
      'https://plain.store.test/ /a/b%20c',
    ]);
  });

  it('tells a missing bucket from a missing object', async () => {
    const elsewhere = s3Store({ ...optionsFor(fake), bucket: 'other-bucket' });
    const missing = { code: 'MNOPS_CORE_NOT_FOUND', details: { reason: 'NoSuchBucket' } };
    await expect(elsewhere.get('a', testCall())).rejects.toMatchObject(missing);
    await expect(elsewhere.delete('a', testCall())).rejects.toMatchObject(missing);
    await expect(elsewhere.list('', testCall())[Symbol.asyncIterator]().next()).rejects.toMatchObject(missing);
    fake.next({ status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' });
    await store.delete('a', testCall());
    await elsewhere.close?.(testCall());
  });

  it.each([
    [403, 'InvalidAccessKeyId', 'MNOPS_CORE_UNAUTHENTICATED', false],
    [403, 'RequestTimeTooSkewed', 'MNOPS_CORE_UNAUTHENTICATED', false],
    [403, 'AccessDenied', 'MNOPS_CORE_ACCESS_DENIED', false],
    [503, 'SlowDown', 'MNOPS_CORE_THROTTLED', true],
    [400, 'RequestTimeout', 'MNOPS_CORE_TIMEOUT', true],
    [400, 'EntityTooLarge', 'MNOPS_CORE_TOO_LARGE', false],
    [409, 'ConditionalRequestConflict', 'MNOPS_CORE_CONFLICT', true],
    [301, 'PermanentRedirect', 'MNOPS_CORE_RESPONSE_INVALID', false],
    [418, '<not a code>', 'MNOPS_CORE_RESPONSE_INVALID', false],
  ])('an answer %i %s is %s', async (status, reason, code, retryable) => {
    fake.next({ status, body: `<Error><Code>${reason}</Code><Message>s3cret</Message></Error>` });
    const error = await store.put('a', Buffer.from('x'), testCall()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, retryable, provider: 's3-store', operation: 'put' });
    expect(JSON.stringify(error)).not.toContain('s3cret');
  });

  it('gives an upload up when a part, its completion or the condition fails', async () => {
    const body = () =>
      (async function* () {
        for (let part = 0; part < 3; part += 1) yield Buffer.alloc(5_000_000, part);
      })();
    for (const script of [
      [{ status: 200, body: '<R><UploadId>u</UploadId></R>' }, { status: 500 }],
      [
        { status: 200, body: '<R><UploadId>u</UploadId></R>' },
        { status: 200, body: '' },
      ],
      [{ status: 200, body: '<R/>' }],
      [{ status: 503 }],
    ]) {
      fake.reset();
      fake.next(script);
      await expect(store.put('a', body(), testCall())).rejects.toThrow();
      if (script.length > 1) expect(fake.requests.at(-1)).toMatchObject({ method: 'DELETE' });
    }
    await store.put('a', Buffer.from('x'), testCall());
    const conditional = store.put('a', body(), { ...testCall(), ifAbsent: true });
    await expect(conditional).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    expect(fake.uploads.size).toBe(0);
    expect(fake.objects.get('a')?.bytes.toString()).toBe('x');
  });

  it('sees a failure in the body of an answer 200 to the completion', async () => {
    let requests = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(6_000_000);
    }
    const original = store.put('a', body(), testCall());
    await original;
    requests = fake.requests.length;
    const normal = Array.from({ length: requests - 1 }, () => undefined);
    expect(normal.length).toBe(3);
    fake.reset();
    fake.next([
      { body: '<R><UploadId>u</UploadId></R>' },
      { headers: { etag: '"1"' }, body: '' },
      { headers: { etag: '"2"' }, body: '' },
      { body: '<Error><Code>InternalError</Code></Error>' },
    ]);
    await expect(store.put('b', body(), testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
  });

  it('fills nothing in that the server did not say', async () => {
    const invalid = { code: 'MNOPS_CORE_RESPONSE_INVALID' };
    fake.next([
      { body: '' },
      { headers: { etag: '"x"' } },
      { headers: { etag: '"x"', 'content-length': '0', 'last-modified': 'yesterday' } },
    ]);
    await expect(store.put('a', Buffer.from('x'), testCall())).rejects.toMatchObject(invalid);
    await expect(store.get('a', testCall())).rejects.toMatchObject(invalid);
    await expect(store.head('a', testCall())).rejects.toMatchObject(invalid);
    const item = '<Key>k</Key><Size>1</Size><ETag>e</ETag><LastModified>2026-01-01T00:00:00Z</LastModified>';
    for (const page of [
      '<Other/>',
      '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
      ...['Key', 'Size', 'ETag', 'LastModified'].map((lacking) => {
        const rest = item.replace(new RegExp(`<${lacking}>.*?</${lacking}>`), '');
        return `<ListBucketResult><Contents>${rest}</Contents></ListBucketResult>`;
      }),
      `<ListBucketResult><EncodingType>url</EncodingType><Contents>${item.replace('>k<', '>%zz<')}</Contents></ListBucketResult>`,
    ]) {
      fake.next({ body: page });
      await expect(store.list('', testCall())[Symbol.asyncIterator]().next()).rejects.toMatchObject(invalid);
    }
    fake.next({ body: `<ListBucketResult><Contents>${item}</Contents></ListBucketResult>` });
    await expect(store.list('other', testCall())[Symbol.asyncIterator]().next()).rejects.toMatchObject(invalid);
    const endless = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>`;
    fake.next([{ body: endless }, { body: endless }]);
    await expect(store.list('', testCall())[Symbol.asyncIterator]().next()).rejects.toMatchObject(invalid);
  });

  it('checks its options, all at once', () => {
    const wrong = {
      bucket: 'B',
      region: '',
      credentials: { accessKeyId: '' },
      partBytes: 1,
      pageSize: 2_000,
      lock: true,
    };
    const problem = (() => {
      try {
        return s3Store(wrong as never);
      } catch (error) {
        return error as { details: { issues: { field: string }[] } };
      }
    })();
    const fields = ('details' in problem ? problem.details.issues : []).map((issue) => issue.field);
    expect(fields).toEqual(
      expect.arrayContaining(['bucket', 'region', 'credentials.accessKeyId', 'partBytes', 'pageSize', 'lock']),
    );
  });

  it('extends a retention, and says what was refused', async () => {
    const locked = s3Store({ ...optionsFor(fake), objectLock: true });
    const absent = locked.extendRetention?.('absent', Date.now(), testCall());
    await expect(absent).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
    expect(store.extendRetention).toBeUndefined();
    await locked.close?.(testCall());
  });

  it('refuses a body beyond what an object can be, before any I/O', async () => {
    const put = store.put('a', (async function* () {})(), { ...testCall(), size: 6e12 });
    await expect(put).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
    expect(fake.requests).toHaveLength(0);
  });
});
