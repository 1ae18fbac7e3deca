import type { ClientRequest } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { coreError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';

/** The error for an answer over its cap. */
export function tooLarge(origin: string, maxBytes: number): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `The answer of ${origin} is over maxBytes, ${maxBytes}.`, {
    details: { origin, maxBytes },
  });
}

/** A body that fails once it is over the cap. */
export async function* limited(
  body: AsyncIterable<Uint8Array>,
  limits: { readonly origin: string; readonly maxBytes: number },
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limits.maxBytes) throw tooLarge(limits.origin, limits.maxBytes);
    yield chunk;
  }
}

/**
 * A body without its content encodings: gzip, deflate (with and without zlib's frame) and br, innermost last.
 *
 * @throws {MnopsError} `MNOPS_CORE_TOO_LARGE` when it inflates over the cap, `MNOPS_CORE_RESPONSE_INVALID` when it is
 * damaged or the encoding unknown.
 */
export async function decoded(
  bytes: Buffer,
  encoding: string | undefined,
  limits: { readonly origin: string; readonly maxBytes: number },
): Promise<Buffer> {
  if (encoding === undefined || bytes.length === 0) return bytes;
  const layers = encoding
    .toLowerCase()
    .split(',')
    .map((layer) => layer.trim())
    .filter((layer) => layer !== '' && layer !== 'identity');
  if (layers.length > 3) {
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The answer of ${limits.origin} has more than 3 content encodings.`);
  }
  let result = bytes;
  for (const layer of layers.reverse()) result = await inflated(result, layer, limits);
  return result;
}

async function inflated(
  bytes: Buffer,
  layer: string,
  limits: { readonly origin: string; readonly maxBytes: number },
): Promise<Buffer> {
  const options = { maxOutputLength: limits.maxBytes };
  try {
    if (layer === 'gzip' || layer === 'x-gzip') return await promisify(gunzip)(bytes, options);
    if (layer === 'br') return await promisify(brotliDecompress)(bytes, options);
    // The low half of zlib's first byte is 8; servers that send bare deflate data begin otherwise.
    if (layer === 'deflate')
      return await promisify(((bytes[0] ?? 0) & 0x0f) === 8 ? inflate : inflateRaw)(bytes, options);
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limits.origin, limits.maxBytes);
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The ${layer} body from ${limits.origin} is damaged.`);
  }
  throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The answer of ${limits.origin} has an unknown content encoding.`);
}

/** What is sent as body, with the headers that describe it. */
export interface PreparedBody {
  readonly content: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly size: number | undefined;
  readonly type: string | undefined;
}

/** Writes a body as fast as the connection takes it, then ends the request. */
export async function sendBody(outgoing: ClientRequest, body: PreparedBody, onProgress: () => void): Promise<void> {
  const { content, size } = body;
  if (content === undefined || content instanceof Uint8Array) {
    outgoing.end(content);
    return;
  }
  let sent = 0;
  for await (const chunk of content) {
    sent += chunk.length;
    if (size !== undefined && sent > size) throw wrongSize(size);
    if (outgoing.destroyed) return;
    if (!outgoing.write(chunk)) await drained(outgoing);
    onProgress();
  }
  if (size !== undefined && sent !== size) throw wrongSize(size);
  outgoing.end();
}

function wrongSize(size: number): Error {
  return coreError('MNOPS_CORE_CONFLICT', `The streamed body does not have the ${size} bytes that were announced.`);
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
}
