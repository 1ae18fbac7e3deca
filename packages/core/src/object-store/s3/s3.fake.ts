import { createHash, randomBytes } from 'node:crypto';
import { signAwsRequest } from '../../http/index.js';
import { type FaultServer, faultServer, type RecordedRequest, type ScriptedReply } from '../../testing/fault-server.js';

interface FakeObject {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly modifiedMs: number;
  retainUntil: string | undefined;
}

interface FakeUpload {
  readonly name: string;
  readonly parts: Map<number, Buffer>;
  readonly retainUntil: string | undefined;
}

/** An S3 server in this process: one bucket, signatures checked, conditions kept, pages, parts, retention. */
export interface S3Fake extends FaultServer {
  readonly bucket: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly objects: Map<string, FakeObject>;
  readonly uploads: Map<string, FakeUpload>;
}

/** Starts the fake. Without `url` among the options of the list it answers names as they are. */
export async function s3Fake(): Promise<S3Fake> {
  const server = await faultServer();
  const bucket = 'test-bucket';
  const credentials = { accessKeyId: 'AKIDFAKE', secretAccessKey: 'fake-secret-key' };
  const objects = new Map<string, FakeObject>();
  const uploads = new Map<string, FakeUpload>();
  const fake = { ...server, bucket, credentials, objects, uploads };
  server.handler((request) => {
    const [path = '', query = ''] = splitOnce(request.url, '?');
    if (!isSigned(request, server.url, credentials)) return failed(403, 'SignatureDoesNotMatch');
    const [, first = '', ...rest] = path.split('/');
    if (first !== bucket) return failed(404, 'NoSuchBucket');
    const parameters = new URLSearchParams(query);
    const name = decodeURIComponent(rest.join('/'));
    if (name === '') return list(objects, parameters);
    return objectReply(fake, request, name, parameters);
  });
  return fake;
}

function objectReply(fake: S3Fake, request: RecordedRequest, name: string, query: URLSearchParams): ScriptedReply {
  const { objects, uploads } = fake;
  const { method, headers } = request;
  const current = objects.get(name);
  if (query.has('uploads')) {
    const id = randomBytes(8).toString('hex');
    uploads.set(id, { name, parts: new Map(), retainUntil: headers['x-amz-object-lock-retain-until-date'] });
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }
  const upload = uploads.get(query.get('uploadId') ?? '');
  if (query.has('uploadId')) {
    if (upload === undefined) return failed(404, 'NoSuchUpload');
    return uploadReply(fake, request, upload, query);
  }
  if (query.has('retention')) {
    if (current === undefined) return failed(404, 'NoSuchKey');
    current.retainUntil = /<RetainUntilDate>(.*)<\/RetainUntilDate>/.exec(request.text())?.[1];
    return {};
  }
  switch (method) {
    case 'PUT': {
      const refused = refusal(current, headers);
      if (refused !== undefined) return refused;
      const stored = store(
        objects,
        name,
        request.body,
        md5(request.body),
        headers['x-amz-object-lock-retain-until-date'],
      );
      return { headers: { etag: stored.etag }, body: '' };
    }
    case 'DELETE':
      objects.delete(name);
      return { status: 204 };
    case 'HEAD':
      return current === undefined
        ? { status: 404 }
        : { headers: { ...facts(current), 'content-length': `${current.bytes.length}` } };
    default:
      return current === undefined ? failed(404, 'NoSuchKey') : ranged(current, headers['range']);
  }
}

function uploadReply(
  { objects, uploads }: S3Fake,
  request: RecordedRequest,
  upload: FakeUpload,
  query: URLSearchParams,
): ScriptedReply {
  const id = query.get('uploadId') ?? '';
  if (request.method === 'DELETE') {
    uploads.delete(id);
    return { status: 204 };
  }
  if (request.method === 'PUT') {
    upload.parts.set(Number(query.get('partNumber')), request.body);
    return { headers: { etag: `"${md5(request.body)}"` }, body: '' };
  }
  const refused = refusal(objects.get(upload.name), request.headers);
  if (refused !== undefined) return refused;
  const numbers = [...request.text().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => Number(match[1]));
  const bytes = Buffer.concat(numbers.map((number) => upload.parts.get(number) ?? Buffer.alloc(0)));
  uploads.delete(id);
  const stored = store(objects, upload.name, bytes, `${md5(bytes)}-${numbers.length}`, upload.retainUntil);
  const etag = stored.etag.replace(/"/g, '&quot;');
  return xml(`<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`);
}

function list(objects: S3Fake['objects'], query: URLSearchParams): ScriptedReply {
  const prefix = query.get('prefix') ?? '';
  const after = Buffer.from(query.get('continuation-token') ?? '', 'hex').toString();
  const names = [...objects.keys()]
    .filter((name) => name.startsWith(prefix))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .filter((name) => after === '' || Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0);
  const page = names.slice(0, Number(query.get('max-keys') ?? 1_000));
  const truncated = page.length < names.length;
  const contents = page.map((name) => {
    const { bytes, etag, modifiedMs } = objects.get(name) as FakeObject;
    const key = encodeURIComponent(name).replace(/%2F/g, '/').replace(/%20/g, '+');
    return `<Contents><Key>${key}</Key><LastModified>${new Date(modifiedMs).toISOString()}</LastModified><ETag>${etag.replace(/"/g, '&quot;')}</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  const next = truncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('hex')}</NextContinuationToken>`
    : '';
  return xml(
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><IsTruncated>${truncated}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
  );
}

function ranged(object: FakeObject, range: string | undefined): ScriptedReply {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (match === null) return { headers: facts(object), body: object.bytes };
  const size = object.bytes.length;
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  if (start >= size) return failed(416, 'InvalidRange');
  const headers = { ...facts(object), 'content-range': `bytes ${start}-${end - 1}/${size}` };
  return { status: 206, headers, body: object.bytes.subarray(start, end) };
}

function refusal(current: FakeObject | undefined, headers: RecordedRequest['headers']): ScriptedReply | undefined {
  if (headers['if-none-match'] === '*' && current !== undefined) return failed(412, 'PreconditionFailed');
  if (headers['if-match'] === undefined || headers['if-match'] === current?.etag) return undefined;
  return current === undefined ? failed(404, 'NoSuchKey') : failed(412, 'PreconditionFailed');
}

function store(
  objects: S3Fake['objects'],
  name: string,
  bytes: Buffer,
  etag: string,
  retainUntil: string | undefined,
): FakeObject {
  const stored = { bytes, etag: `"${etag}"`, modifiedMs: Date.now(), retainUntil };
  objects.set(name, stored);
  return stored;
}

function facts(object: FakeObject): Record<string, string> {
  return {
    etag: object.etag,
    'last-modified': new Date(object.modifiedMs).toUTCString(),
    ...(object.retainUntil === undefined ? {} : { 'x-amz-object-lock-retain-until-date': object.retainUntil }),
  };
}

/** Signs what arrived once more and compares; the hash must be that of the body. */
function isSigned(request: RecordedRequest, url: string, credentials: S3Fake['credentials']): boolean {
  const { headers, method, body } = request;
  const names = /SignedHeaders=([^,]*)/.exec(headers['authorization'] ?? '')?.[1]?.split(';') ?? [];
  if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => names.includes(name))) return false;
  const own = ['host', 'x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token'];
  const signed = Object.fromEntries(
    names.filter((name) => !own.includes(name)).map((name) => [name, headers[name] ?? '']),
  );
  const date = (headers['x-amz-date'] ?? '').replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
  const sessionToken = headers['x-amz-security-token'];
  const again = signAwsRequest(
    { method, url, rawPath: request.url, headers: signed, body },
    { credentials: { ...credentials, sessionToken }, region: 'us-east-1', service: 's3', atMs: Date.parse(date) },
  );
  return again['authorization'] === headers['authorization'];
}

function failed(status: number, code: string): ScriptedReply {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`,
  };
}

function xml(body: string): ScriptedReply {
  return { headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}` };
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
