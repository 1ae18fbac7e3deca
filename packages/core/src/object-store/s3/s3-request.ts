import { credential } from '../../call.js';
import { awsEncoded } from '../../http/aws-signature.js';
import {
  type AwsKeys,
  type HttpClient,
  type HttpResponse,
  type HttpStreamResponse,
  type RequestInput,
  signAwsRequest,
} from '../../http/index.js';
import type { Call, Clock, Credential } from '../../spi/base.js';

const sliceBytes = 262_144;

/** Keys for S3. Each is turned into text at each request, so it follows rotation. */
export interface S3Credentials {
  readonly accessKeyId: Credential;
  readonly secretAccessKey: Credential;
  readonly sessionToken?: Credential | undefined;
}

/** Where a bucket is and how requests to it are signed. */
export interface S3Place {
  readonly client: HttpClient;
  readonly clock: Pick<Clock, 'now'>;
  readonly origin: URL;
  /** Path before the object's name: empty or `/bucket`, after the endpoint's own. */
  readonly basePath: string;
  readonly region: string;
  readonly credentials: S3Credentials;
}

/** One request to a bucket. */
export interface S3Request {
  readonly method: string;
  /** Name of an object; without it the bucket itself. */
  readonly name?: string | undefined;
  /** Parameters; `undefined` leaves one out, the empty text stands without `=`. */
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: Uint8Array | undefined;
}

/** One signed exchange, the answer in memory. */
export async function s3Send(place: S3Place, request: S3Request, call: Call): Promise<HttpResponse> {
  return await place.client.request(await signed(place, request, call));
}

/** One signed exchange, the body of the answer still on its way. */
export async function s3Stream(place: S3Place, request: S3Request, call: Call): Promise<HttpStreamResponse> {
  return await place.client.request({ ...(await signed(place, request, call)), stream: true });
}

async function signed(place: S3Place, request: S3Request, call: Call): Promise<RequestInput> {
  call.signal.throwIfAborted();
  const { origin, basePath, region, credentials, clock } = place;
  const { method, name, query = {}, body } = request;
  const path = name === undefined ? `${basePath}/` : `${basePath}/${name.split('/').map(awsEncoded).join('/')}`;
  const parameters = Object.entries(query)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([key, value]) => `${awsEncoded(key)}=${awsEncoded(value)}`)
    .join('&');
  const rawPath = parameters === '' ? path : `${path}?${parameters}`;
  const headers: Record<string, string> = {};
  for (const [header, value] of Object.entries(request.headers ?? {})) if (value !== undefined) headers[header] = value;
  const added = signAwsRequest(
    { method, url: origin, rawPath, headers, body },
    { credentials: await keysOf(credentials, call), region, service: 's3', atMs: clock.now() },
  );
  return {
    method,
    url: origin,
    rawPath,
    headers: { ...headers, ...added },
    // In slices, so that a slow connection counts as progress; the call's own deadline holds for the whole.
    body: body === undefined ? (method === 'GET' || method === 'HEAD' ? undefined : '') : slices(body),
    size: body?.length,
    signal: call.signal,
  };
}

async function* slices(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes);
}

async function keysOf(credentials: S3Credentials, call: Call): Promise<AwsKeys> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  return {
    accessKeyId: await credential(accessKeyId, call),
    secretAccessKey: await credential(secretAccessKey, call),
    sessionToken: sessionToken === undefined ? undefined : await credential(sessionToken, call),
  };
}
