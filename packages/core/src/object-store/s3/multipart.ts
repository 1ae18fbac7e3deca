import { callOf } from '../../call.js';
import { coreError } from '../../errors/core-error.js';
import type { HttpResponse } from '../../http/index.js';
import type { Call } from '../../spi/base.js';
import { s3Error, s3Invalid } from './s3-error.js';
import { type S3Place, s3Send } from './s3-request.js';
import { childText, escapedXml, parseXml } from './xml.js';

/** Most parts that S3 takes for one object. */
export const maxParts = 10_000;
/** Milliseconds that giving an upload up may take, after the call itself has ended. */
const giveUpMs = 10_000;

/** Headers of the two requests that begin and complete an upload. */
export interface MultipartHeaders {
  readonly begin: Readonly<Record<string, string | undefined>>;
  readonly complete: Readonly<Record<string, string | undefined>>;
}

/**
 * Uploads parts one after another and makes them one object; yields the answer to the last request. When anything fails
 * the upload is given up, so that no parts stay behind.
 */
export async function uploadParts(
  place: S3Place,
  name: string,
  parts: AsyncIterable<Uint8Array>,
  headers: MultipartHeaders,
  call: Call,
): Promise<HttpResponse> {
  const begun = await s3Send(place, { method: 'POST', name, query: { uploads: '' }, headers: headers.begin }, call);
  if (begun.status !== 200) throw s3Error(begun, 'put');
  const uploadId = childText(parseXml(begun.text()), 'UploadId');
  if (uploadId === undefined || uploadId === '') throw s3Invalid('put', 'UploadId');
  try {
    const etags: string[] = [];
    for await (const body of parts) {
      const partNumber = etags.length + 1;
      if (partNumber > maxParts) throw tooManyParts();
      const query = { partNumber: String(partNumber), uploadId };
      const sent = await s3Send(place, { method: 'PUT', name, query, body }, call);
      if (sent.status !== 200) throw s3Error(sent, 'put');
      const etag = sent.headers['etag'];
      if (etag === undefined) throw s3Invalid('put', 'ETag');
      etags.push(etag);
    }
    return await complete(place, name, uploadId, etags, headers, call);
  } catch (error) {
    await giveUp(place, name, uploadId, call);
    throw error;
  }
}

async function complete(
  place: S3Place,
  name: string,
  uploadId: string,
  etags: readonly string[],
  headers: MultipartHeaders,
  call: Call,
): Promise<HttpResponse> {
  const parts = etags.map((etag, index) => {
    return `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapedXml(etag)}</ETag></Part>`;
  });
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  const request = { method: 'POST', name, query: { uploadId }, headers: headers.complete, body };
  const done = await s3Send(place, request, call);
  if (done.status !== 200) throw s3Error(done, 'put');
  // S3 begins to answer 200 before it is done, so a failure may stand in the body.
  if (parseXml(done.text()).name !== 'Error') return done;
  throw s3Error({ ...done, status: 500 }, 'put');
}

async function giveUp(place: S3Place, name: string, uploadId: string, call: Call): Promise<void> {
  const last = callOf({ timeoutMs: giveUpMs });
  try {
    // A lifecycle rule of the bucket removes what this cannot.
    const within = { signal: last.signal, remainingMs: last.remainingMs, secret: (text: string) => call.secret(text) };
    await s3Send(place, { method: 'DELETE', name, query: { uploadId } }, within).catch(() => undefined);
  } finally {
    last.end();
  }
}

function tooManyParts(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `s3-store: the body has more than ${maxParts} parts of partBytes.`, {
    provider: 's3-store',
    operation: 'put',
    remedy: 'Raise `partBytes`, or give the size of the body.',
  });
}
