import { configError } from '../../config/index.js';
import type { HttpResponse } from '../../http/index.js';
import type { ObjectInfo } from '../../spi/object-store.js';
import { assertObjectName } from '../object-name.js';
import { s3Invalid } from './s3-error.js';
import { childText, parseXml, type XmlElement } from './xml.js';

/** Refuses names that a server or a proxy on the way would resolve, and control characters, which servers treat unlike. */
export function assertS3Name(name: string): void {
  assertObjectName(name);
  if (!name.split('/').some((segment) => segment === '.' || segment === '..') && !/[\u0000-\u001f\u007f]/.test(name))
    return;
  const expected = 'a name without "." or ".." between slashes and without control characters';
  throw configError('s3Store', [{ field: 'name', expected, received: 'such a name', remedy: 'Choose another name.' }]);
}

/** An etag without its quotes; they are protocol. */
export function unquoted(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}

/** Facts of an object from the headers of an answer; a ranged one tells the whole size apart. */
export function infoFromHeaders(name: string, response: Pick<HttpResponse, 'headers'>, operation: string): ObjectInfo {
  const { headers } = response;
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1] ?? headers['content-length'];
  const size = total === undefined || !/^\d+$/.test(total) ? Number.NaN : Number(total);
  const etag = unquoted(headers['etag'] ?? '');
  const modifiedMs = Date.parse(headers['last-modified'] ?? '');
  if (!Number.isSafeInteger(size)) throw s3Invalid(operation, 'Content-Length');
  if (etag === '') throw s3Invalid(operation, 'ETag');
  if (Number.isNaN(modifiedMs)) throw s3Invalid(operation, 'Last-Modified');
  const retainUntilMs = Date.parse(headers['x-amz-object-lock-retain-until-date'] ?? '');
  return { name, size, etag, modifiedMs, ...(Number.isNaN(retainUntilMs) ? {} : { retainUntilMs }) };
}

/** One page of a list, and the token of the next. */
export function listPage(
  response: Pick<HttpResponse, 'text'>,
  prefix: string,
): { readonly objects: readonly ObjectInfo[]; readonly next: string | undefined } {
  const document = parseXml(response.text());
  if (document.name !== 'ListBucketResult') throw s3Invalid('list', 'ListBucketResult');
  const encoded = childText(document, 'EncodingType') === 'url';
  const objects = document.children.filter((child) => child.name === 'Contents').map((item) => listed(item, encoded));
  // What a server lists beside the prefix is not what was asked for.
  if (objects.some((object) => !object.name.startsWith(prefix))) throw s3Invalid('list', 'Key');
  const truncated = childText(document, 'IsTruncated') === 'true';
  const next = childText(document, 'NextContinuationToken');
  if (truncated && (next === undefined || next === '')) throw s3Invalid('list', 'NextContinuationToken');
  return { objects, next: truncated ? next : undefined };
}

function listed(item: XmlElement, encoded: boolean): ObjectInfo {
  const key = childText(item, 'Key');
  const size = childText(item, 'Size') ?? '';
  const etag = unquoted(childText(item, 'ETag') ?? '');
  const modifiedMs = Date.parse(childText(item, 'LastModified') ?? '');
  if (key === undefined || key === '') throw s3Invalid('list', 'Key');
  if (!/^\d{1,16}$/.test(size)) throw s3Invalid('list', 'Size');
  if (etag === '') throw s3Invalid('list', 'ETag');
  if (Number.isNaN(modifiedMs)) throw s3Invalid('list', 'LastModified');
  return { name: encoded ? decodedKey(key) : key, size: Number(size), etag, modifiedMs };
}

function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key.replace(/\+/g, ' '));
  } catch {
    throw s3Invalid('list', 'Key');
  }
}
