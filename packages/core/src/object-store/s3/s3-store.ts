import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { systemClock } from '../../clock.js';
import { clockSchema, countSchema, credentialSchema, parseOptions, textSchema } from '../../config/index.js';
import { coreError } from '../../errors/core-error.js';
import { type HttpClient, type HttpResponse, httpClient, isHttpClient } from '../../http/index.js';
import { parsedUrl } from '../../http/resource-url.js';
import type { Call, Clock } from '../../spi/base.js';
import type { ObjectInfo, ObjectStore } from '../../spi/object-store.js';
import { pieces } from '../body.js';
import { assertConditions, type PutConditions, wrongSize } from '../object-name.js';
import { maxParts, uploadParts } from './multipart.js';
import { partsOf } from './parts.js';
import { assertS3Name, infoFromHeaders, listPage, unquoted } from './s3-answers.js';
import { s3Code, s3Error, s3Invalid } from './s3-error.js';
import { type S3Credentials, type S3Place, s3Send, s3Stream } from './s3-request.js';

/** Where a bucket is, how to sign in, and what the server behind it can do. */
export interface S3StoreOptions {
  readonly bucket: string;
  /** Such as `eu-central-1`; servers that have none take `us-east-1`. */
  readonly region: string;
  /** Address of another server that speaks S3. Default: AWS, by region and bucket. */
  readonly endpoint?: string | undefined;
  readonly credentials: S3Credentials;
  /** Whether the bucket stands in the path, not in the host. Default: true with an `endpoint`, or when its name has dots. */
  readonly pathStyle?: boolean | undefined;
  /** Part of a multipart upload, at least 5 MiB. Streams longer than one part go in parts. Default 16 MiB. */
  readonly partBytes?: number | undefined;
  /** Largest body in memory that goes as one request. Default 128 MiB. */
  readonly singlePutBytes?: number | undefined;
  /** Conditions that the server keeps. Default `match`; some servers answer success and keep none. */
  readonly conditionalPut?: 'none' | 'create' | 'match' | undefined;
  /** Whether the bucket has object lock. Default false. */
  readonly objectLock?: boolean | undefined;
  /** Objects per page of a list, up to 1,000. Default 1_000. */
  readonly pageSize?: number | undefined;
  /** Ready client; it is not closed with the store. */
  readonly client?: HttpClient | undefined;
  /** Dates the signatures. */
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  bucket: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)),
  region: textSchema,
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  credentials: v.strictObject({
    accessKeyId: credentialSchema,
    secretAccessKey: credentialSchema,
    sessionToken: v.optional(credentialSchema),
  }),
  pathStyle: v.optional(v.boolean()),
  partBytes: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(5_242_880))),
  singlePutBytes: v.optional(countSchema),
  conditionalPut: v.optional(v.picklist(['none', 'create', 'match'])),
  objectLock: v.optional(v.boolean()),
  pageSize: v.optional(v.pipe(countSchema, v.maxValue(1_000))),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
  clock: v.optional(clockSchema),
});

/** Longest object, 5 TiB. */
const maxObjectBytes = 5_497_558_138_880;

/**
 * Objects in a bucket of S3, or of a server that speaks its protocol (REST API 2006-03-01, Signature Version 4). Every
 * body is signed by its hash.
 *
 * Names with the segments `.` or `..` are refused: servers and proxies resolve them, out of the bucket in the worst
 * case. `modifiedMs` of a put is the server's Date header, whole seconds.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function s3Store(options: S3StoreOptions): ObjectStore {
  const parsed = parseOptions('s3Store', optionsSchema, options);
  const { region, partBytes = 16_777_216, singlePutBytes = 134_217_728, pageSize = 1_000 } = parsed;
  const { client = httpClient(), clock = systemClock(), objectLock = false, conditionalPut = 'match' } = parsed;
  const id = 's3-store';
  const capabilities: ObjectStore['capabilities'] = {
    conditionalPut,
    objectLock,
    versions: false,
    ranges: true,
    serverTime: true,
    completeList: true,
    anyName: false,
    maxObjectBytes,
  };
  const credentials: S3Credentials = options.credentials;
  const place: S3Place = { ...address(parsed), client, clock, region, credentials };

  async function putParts(
    name: string,
    parts: AsyncGenerator<Buffer>,
    call: Call & PutConditions,
  ): Promise<{ readonly response: HttpResponse; readonly size: number }> {
    let size = 0;
    const counted = async function* (first: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
      for (const part of first) {
        size += part.length;
        yield part;
      }
      for await (const part of parts) {
        size += part.length;
        yield part;
      }
    };
    try {
      const first = await parts.next();
      const second = await parts.next();
      const body: Buffer = first.done === true ? Buffer.alloc(0) : first.value;
      if (second.done === true) return { response: await putOnce(name, body, call), size: body.length };
      const headers = { begin: lockHeaders(call), complete: conditionHeaders(call) };
      return { response: await uploadParts(place, name, counted([body, second.value]), headers, call), size };
    } finally {
      await parts.return(undefined);
    }
  }

  async function putOnce(name: string, body: Uint8Array, call: Call & PutConditions): Promise<HttpResponse> {
    const headers = { ...conditionHeaders(call), ...lockHeaders(call), 'content-md5': md5(body) };
    const response = await s3Send(place, { method: 'PUT', name, headers, body }, call);
    if (response.status !== 200) throw s3Error(response, 'put');
    return response;
  }

  return {
    specVersion: 1,
    kind: 'object-store',
    id,
    capabilities,
    async close() {
      if (parsed.client === undefined) await client.close();
    },
    async get(name, call) {
      assertS3Name(name);
      const { range } = call;
      if (range?.end !== undefined && range.end <= range.start) return await nothingOf(name, call);
      const headers = range === undefined ? {} : { range: rangeHeader(range) };
      const response = await s3Stream(place, { method: 'GET', name, headers }, call);
      if (response.status === (range === undefined ? 200 : 206)) {
        try {
          return { ...infoFromHeaders(name, response, 'get'), body: response.body };
        } catch (error) {
          response.discard();
          throw error;
        }
      }
      const whole = await response.buffered();
      if (whole.status === 416) return await nothingOf(name, call);
      if (whole.status === 404 && s3Code(whole) === 'NoSuchKey') return undefined;
      throw s3Error(whole, 'get');
    },
    head,
    async put(name, body, call) {
      assertS3Name(name);
      assertConditions({ id, capabilities }, call);
      const inMemory = body instanceof Uint8Array;
      const size = inMemory ? body.length : (call.size ?? 0);
      if (size > maxObjectBytes) throw tooLong();
      if (inMemory && size <= singlePutBytes) {
        if (call.size !== undefined && call.size !== size) throw wrongSize(id, call.size);
        return infoOfPut(name, await putOnce(name, body, call), size, call);
      }
      const enough = Math.max(partBytes, Math.ceil(size / maxParts));
      const source = pieces(body, { id, signal: call.signal, size: call.size });
      const stored = await putParts(name, partsOf(source, enough), call);
      return infoOfPut(name, stored.response, stored.size, call);
    },
    async *list(prefix, call) {
      let token: string | undefined;
      do {
        const query = {
          'list-type': '2',
          'encoding-type': 'url',
          prefix: prefix === '' ? undefined : prefix,
          'max-keys': String(pageSize),
          'continuation-token': token,
        };
        const response = await s3Send(place, { method: 'GET', query }, call);
        if (response.status !== 200) throw s3Error(response, 'list');
        const page = listPage(response, prefix);
        yield* page.objects;
        if (page.next !== undefined && page.next === token) throw s3Invalid('list', 'NextContinuationToken');
        token = page.next;
      } while (token !== undefined);
    },
    async delete(name, call) {
      assertS3Name(name);
      const response = await s3Send(place, { method: 'DELETE', name }, call);
      if (response.status === 204 || response.status === 200) return;
      if (response.status === 404 && s3Code(response) === 'NoSuchKey') return;
      throw s3Error(response, 'delete');
    },
    ...(objectLock ? { extendRetention } : {}),
  };

  async function head(name: string, call: Call): Promise<ObjectInfo | undefined> {
    assertS3Name(name);
    const response = await s3Send(place, { method: 'HEAD', name }, call);
    if (response.status === 200) return infoFromHeaders(name, response, 'head');
    // An answer to HEAD has no body that could tell a missing object from a missing bucket.
    if (response.status === 404) return undefined;
    throw s3Error(response, 'head');
  }

  /** A range that holds no byte, which S3 has no answer for. */
  async function nothingOf(
    name: string,
    call: Call,
  ): Promise<(ObjectInfo & { body: AsyncIterable<Uint8Array> }) | undefined> {
    const info = await head(name, call);
    return info && { ...info, body: pieces(new Uint8Array(0), { id, signal: call.signal }) };
  }

  async function extendRetention(name: string, untilMs: number, call: Call): Promise<void> {
    assertS3Name(name);
    const until = new Date(untilMs).toISOString();
    const body = Buffer.from(
      `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`,
    );
    const headers = { 'content-md5': md5(body) };
    const response = await s3Send(place, { method: 'PUT', name, query: { retention: '' }, headers, body }, call);
    if (response.status !== 200) throw s3Error(response, 'extendRetention');
  }
}

function address(options: {
  readonly bucket: string;
  readonly region: string;
  readonly endpoint?: string | undefined;
  readonly pathStyle?: boolean | undefined;
}): Pick<S3Place, 'origin' | 'basePath'> {
  const { bucket, region, endpoint } = options;
  // A bucket with dots makes a host that no wildcard certificate covers.
  const { pathStyle = endpoint !== undefined || bucket.includes('.') } = options;
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const origin = parsedUrl(endpoint ?? `https://s3.${region}.${suffix}`, 'endpoint');
  const above = origin.pathname.replace(/\/+$/, '');
  if (!pathStyle) origin.hostname = `${bucket}.${origin.hostname}`;
  origin.pathname = '/';
  return { origin, basePath: pathStyle ? `${above}/${bucket}` : above };
}

/** Bytes of a range as HTTP counts them: the last one is included. */
function rangeHeader({ start, end }: { readonly start: number; readonly end?: number | undefined }): string {
  return `bytes=${start}-${end === undefined ? '' : end - 1}`;
}

function conditionHeaders(conditions: PutConditions): Record<string, string | undefined> {
  const { ifAbsent, ifMatch } = conditions;
  return {
    'if-none-match': ifAbsent === true ? '*' : undefined,
    'if-match': ifMatch === undefined ? undefined : `"${ifMatch}"`,
  };
}

function lockHeaders({ retainUntilMs }: PutConditions): Record<string, string | undefined> {
  if (retainUntilMs === undefined) return {};
  return {
    'x-amz-object-lock-mode': 'COMPLIANCE',
    'x-amz-object-lock-retain-until-date': new Date(retainUntilMs).toISOString(),
  };
}

function infoOfPut(name: string, response: HttpResponse, size: number, conditions: PutConditions): ObjectInfo {
  const { retainUntilMs } = conditions;
  const etag = unquoted(response.headers['etag'] ?? etagInBody(response));
  const modifiedMs = Date.parse(response.headers['date'] ?? '');
  if (etag === '') throw s3Invalid('put', 'ETag');
  if (Number.isNaN(modifiedMs)) throw s3Invalid('put', 'Date');
  return { name, size, etag, modifiedMs, ...(retainUntilMs === undefined ? {} : { retainUntilMs }) };
}

/** The answer that completes an upload in parts carries the etag in its document. */
function etagInBody(response: HttpResponse): string {
  return /<ETag>([^<]*)<\/ETag>/.exec(response.text())?.[1]?.replace(/&quot;|&#34;/g, '"') ?? '';
}

function md5(body: Uint8Array): string {
  return createHash('md5').update(body).digest('base64');
}

function tooLong(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', 's3-store: an object has at most 5 TiB.', {
    provider: 's3-store',
    operation: 'put',
  });
}
