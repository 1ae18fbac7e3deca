import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { awsEncoded, signAwsRequest } from './aws-signature.js';

interface Context {
  readonly credentials: {
    readonly access_key_id: string;
    readonly secret_access_key: string;
    readonly token?: string;
  };
  readonly normalize: boolean;
  readonly region: string;
  readonly service: string;
  readonly sign_body: boolean;
  readonly omit_session_token?: boolean;
  readonly timestamp: string;
}
type Vector = { readonly 'context.json': Context } & Readonly<Record<string, string>>;

/** The suite's text form of a request: continuation lines, repeated names, raw paths. */
function parsedRequest(text: string) {
  const [head = '', ...bodyParts] = text.split('\n\n');
  const [requestLine = '', ...lines] = head.split('\n').filter((line) => line !== '');
  const method = requestLine.slice(0, requestLine.indexOf(' '));
  const rawPath = requestLine.slice(method.length + 1, requestLine.lastIndexOf(' HTTP/'));
  const headers: Record<string, string[]> = {};
  let last: string[] = [];
  for (const line of lines) {
    if (/^\s/.test(line)) {
      last[last.length - 1] += `\n${line}`;
      continue;
    }
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    last = headers[name] ??= [];
    last.push(line.slice(name.length + 1));
  }
  return { method, rawPath, headers, body: bodyParts.join('\n\n') };
}

function expectedHeaders(text: string): Record<string, string> {
  const wanted: Record<string, string> = {};
  for (const line of (text.split('\n\n')[0] ?? '').split('\n').slice(1)) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    if (/^(authorization|x-amz-date|x-amz-security-token|x-amz-content-sha256)$/.test(name)) {
      wanted[name] = line.slice(name.length + 1);
    }
  }
  return wanted;
}

dataSuite({ describe, it }, 'sigv4', 'signAwsRequest, public suite', (folder) => {
  const suite = JSON.parse(readFileSync(join(folder, 'aws-sigv4-suite.json'), 'utf8')) as Record<string, Vector>;
  it.each(Object.keys(suite))('%s', (name) => {
    const vector = suite[name] as Vector;
    const context = vector['context.json'];
    const { method, rawPath, headers, body } = parsedRequest(vector['request.txt'] ?? '');
    const added = signAwsRequest(
      { method, url: `https://${headers['host']?.[0]}/`, rawPath, headers, body },
      {
        credentials: {
          accessKeyId: context.credentials.access_key_id,
          secretAccessKey: context.credentials.secret_access_key,
          sessionToken: context.credentials.token,
        },
        region: context.region,
        service: context.service,
        atMs: Date.parse(context.timestamp),
        normalizePath: context.normalize,
        sendPayloadHash: context.sign_body,
        signSessionToken: context.omit_session_token !== true,
      },
    );
    expect(added).toEqual(expectedHeaders(vector['header-signed-request.txt'] ?? ''));
    expect(added['authorization']).toContain(vector['header-signature.txt']);
  });
});

// The example requests of the S3 API reference ("Examples: Signature Calculations").
describe('signAwsRequest for S3', () => {
  const options = {
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
    region: 'us-east-1',
    service: 's3',
    atMs: Date.UTC(2013, 4, 24),
  };
  const origin = 'https://examplebucket.s3.amazonaws.com';

  it('signs a ranged read', () => {
    const added = signAwsRequest(
      { method: 'GET', url: `${origin}/test.txt`, headers: { Range: 'bytes=0-9' } },
      options,
    );
    expect(added['authorization']).toMatch(/f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/);
    expect(added['x-amz-content-sha256']).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('signs a write with a body', () => {
    const headers = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' };
    const request = { method: 'PUT', url: `${origin}/test%24file.text`, headers, body: 'Welcome to Amazon S3.' };
    expect(signAwsRequest(request, options)['authorization']).toMatch(
      /98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd$/,
    );
  });

  it('signs queries with and without values', () => {
    const lifecycle = signAwsRequest({ method: 'GET', url: `${origin}/?lifecycle` }, options);
    expect(lifecycle['authorization']).toMatch(/fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543$/);
    const list = signAwsRequest({ method: 'GET', url: `${origin}/?max-keys=2&prefix=J` }, options);
    expect(list['authorization']).toMatch(/34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/);
  });

  it('leaves the path alone and takes a hash that is given', () => {
    const base = { method: 'GET', url: origin, payloadHash: 'UNSIGNED-PAYLOAD' };
    const dotted = signAwsRequest({ ...base, rawPath: '/a/../b//c' }, options);
    const plain = signAwsRequest({ ...base, rawPath: '/b/c' }, options);
    expect(dotted['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    expect(dotted['authorization']).not.toBe(plain['authorization']);
  });

  it('takes an empty path and a stray percent sign as they are', () => {
    const request = { method: 'get', url: origin, rawPath: '?a=100%' };
    expect(signAwsRequest(request, options)['authorization']).toMatch(/Signature=[0-9a-f]{64}$/);
    const other = signAwsRequest(
      { method: 'GET', url: origin, rawPath: '' },
      { ...options, service: 'x', normalizePath: false },
    );
    const root = signAwsRequest({ method: 'GET', url: origin, rawPath: '/' }, { ...options, service: 'x' });
    expect(other).toEqual(root);
  });
});

describe('awsEncoded', () => {
  it('encodes the UTF-8 bytes of everything that is not unreserved', () => {
    expect(awsEncoded("AZaz09-._~ /+'()*!é")).toBe('AZaz09-._~%20%2F%2B%27%28%29%2A%21%C3%A9');
  });
});
