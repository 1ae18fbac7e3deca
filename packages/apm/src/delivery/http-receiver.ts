import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { coreError, credential, type MnopsError } from '@mnops/core';
import { countSchema } from '@mnops/core/config';
import { errorFromResponse, type HttpClient, type HttpResponse, httpClient, isHttpClient } from '@mnops/core/http';
import type { Call, Credential } from '@mnops/core/spi';
import * as v from 'valibot';
import { apmError } from '../codes.js';

/** What every exporter over HTTP can be told. */
export interface ReceiverOptions {
  /** Bytes of one request before compression; a larger batch is split. */
  readonly maxRequestBytes?: number | undefined;
  /** Name in counters and events; needed when there are two of a kind. */
  readonly id?: string | undefined;
  /** Ready client. Default: one of its own that refuses answers over 1 MiB. */
  readonly client?: HttpClient | undefined;
}

/** Checks of `ReceiverOptions`. */
export const receiverSchema: {
  readonly maxRequestBytes: v.OptionalSchema<v.GenericSchema<number>, undefined>;
  readonly id: v.OptionalSchema<v.GenericSchema<string>, undefined>;
  readonly client: v.OptionalSchema<v.GenericSchema<HttpClient>, undefined>;
} = {
  maxRequestBytes: v.optional(countSchema),
  id: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words with - between'))),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HTTP client')),
};

/** An address that holds no password, since addresses are shown. */
export const addressSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.url(),
  v.check((text) => /^https?:\/\/[^@]+$/i.test(text), 'an http: or https: address without credentials'),
);

/** A client for short answers of a back end. */
export function receiverClient(): HttpClient {
  return httpClient({ maxBytes: 1_048_576, maxDepth: 16 });
}

/** The statuses after which the same request may be sent again, or that say something of their own. */
const telling = [401, 403, 404, 407, 408, 413, 429, 502, 503, 504];

/**
 * The error for an answer without success: the status's own code, or `MNOPS_APM_EXPORT_REJECTED` where the back end
 * refuses these spans for good.
 */
export function refusalOf(response: HttpResponse, provider: string): MnopsError {
  const context = { provider, operation: 'export' };
  const { status } = response;
  if (telling.includes(status)) return errorFromResponse(response, context);
  return apmError('MNOPS_APM_EXPORT_REJECTED', `The receiver refused the spans with status ${status}.`, context);
}

/**
 * Refuses a body that is over its limit before it is sent, which makes the host split the batch.
 *
 * @throws {MnopsError} `MNOPS_CORE_TOO_LARGE`
 */
export function assertFits(bytes: number, maxRequestBytes: number, provider: string): void {
  if (bytes <= maxRequestBytes) return;
  throw coreError('MNOPS_CORE_TOO_LARGE', `The batch has ${bytes} bytes, the limit is ${maxRequestBytes}.`, {
    provider,
    operation: 'export',
  });
}

/** Headers with their secret references resolved. */
export async function resolvedHeaders(
  headers: Readonly<Record<string, Credential>>,
  call: Call,
): Promise<Record<string, string>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([name, value]) => [name, await credential(value, call)] as const),
  );
  return Object.fromEntries(entries);
}

/** Compresses a body away from the main thread. */
export const compressed: (body: Uint8Array) => Promise<Buffer> = promisify<Uint8Array, Buffer>(gzip);
