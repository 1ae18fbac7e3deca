import { createHash, createHmac } from 'node:crypto';

/** Keys that sign a request, as text at this moment. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** The request to sign. What is signed must be what is sent. */
export interface AwsSigningRequest {
  readonly method: string;
  readonly url: string | URL;
  /** Path with query as it goes on the wire, in place of the url's. */
  readonly rawPath?: string | undefined;
  /** Headers to sign; several values of one name as a list. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** Default: no body. */
  readonly body?: string | Uint8Array | undefined;
  /** Hex SHA-256 of a body that is not given, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash?: string | undefined;
}

/** What the signature is for. */
export interface AwsSigningOptions {
  readonly credentials: AwsKeys;
  readonly region: string;
  /** Name of the service, such as `secretsmanager`. With `s3` the path is taken as it is, and the body's hash is sent. */
  readonly service: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
  /** Whether dot segments and double slashes are resolved before signing. Default: all services but `s3`. */
  readonly normalizePath?: boolean | undefined;
  /** Whether the body's hash is sent as `x-amz-content-sha256`. Default: only with `s3`. */
  readonly sendPayloadHash?: boolean | undefined;
  /** Whether the session token is part of what is signed. Default true. */
  readonly signSessionToken?: boolean | undefined;
}

/**
 * Signs a request with AWS Signature Version 4 in the Authorization header.
 *
 * Held to the public test suite of the AWS common runtime.
 *
 * @returns Headers to add to the request: `authorization`, `x-amz-date`, and where they apply `x-amz-security-token`
 * and `x-amz-content-sha256`.
 */
export function signAwsRequest(request: AwsSigningRequest, options: AwsSigningOptions): Record<string, string> {
  const { credentials, region, service, atMs, sendPayloadHash = service === 's3', signSessionToken = true } = options;
  const payloadHash = request.payloadHash ?? sha256(request.body ?? '');
  const date = new Date(atMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const added: Record<string, string> = { 'x-amz-date': date };
  if (sendPayloadHash) added['x-amz-content-sha256'] = payloadHash;
  const token = credentials.sessionToken;
  if (token !== undefined && signSessionToken) added['x-amz-security-token'] = token;

  const url = new URL(request.url);
  const signed = canonicalHeaders({ host: url.host, ...lowerCased(request.headers), ...added });
  const names = signed.map(([name]) => name).join(';');
  const [path = '/', query = ''] = splitOnce(request.rawPath ?? `${url.pathname}${url.search}`, '?');
  const canonical = [
    request.method.toUpperCase(),
    canonicalPath(path, service === 's3', options.normalizePath ?? service !== 's3'),
    canonicalQuery(query),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payloadHash,
  ].join('\n');

  const day = date.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<Buffer>(
    (previous, part) => hmac(previous, part),
    Buffer.from(`AWS4${credentials.secretAccessKey}`),
  );
  const signature = hmac(key, toSign).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...added, ...(token === undefined ? {} : { 'x-amz-security-token': token }), authorization };
}

/** Percent-encoding as AWS wants it: everything but unreserved characters, of the UTF-8 bytes. */
export function awsEncoded(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function canonicalPath(path: string, asItIs: boolean, normalize: boolean): string {
  if (asItIs) return path === '' ? '/' : path;
  const encoded = (normalize ? normalized(path) : path).split('/').map(awsEncoded).join('/');
  return encoded === '' ? '/' : encoded;
}

/** RFC 3986 5.2.4, with double slashes merged. */
function normalized(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const end = kept.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${kept.join('/')}${end}`;
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((pair) => splitOnce(pair, '='))
    .map(([name = '', value = '']): [string, string] => [awsEncoded(decoded(name)), awsEncoded(decoded(value))])
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function canonicalHeaders(headers: Readonly<Record<string, string | readonly string[]>>): [string, string][] {
  return Object.entries(headers)
    .map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? trimmed(value) : value.map(trimmed).join(','),
    ])
    .sort(([a], [b]) => compare(a, b));
}

function lowerCased(headers: AwsSigningRequest['headers'] = {}): Record<string, string | readonly string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function trimmed(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a bare percent sign stands for itself
  }
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
