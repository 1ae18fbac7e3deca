import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { JsonValue } from '../spi/base.js';

/** How a client speaks TLS, beside Node's own defaults. Texts are PEM. */
export interface TlsOptions {
  /** Certificate authorities to trust in place of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined;
  /** Client certificate chain. */
  readonly cert?: string | undefined;
  /** Private key of the client certificate. */
  readonly key?: string | undefined;
  /** Name that the server's certificate must carry, where it is not the host of the address. */
  readonly servername?: string | undefined;
}

/** Bounds and defaults of a client. */
export interface HttpClientOptions {
  /** Longest answer in bytes, after decompression. Default 4 MiB. */
  readonly maxBytes?: number | undefined;
  /** Deepest nesting of a JSON answer. Default 64. */
  readonly maxDepth?: number | undefined;
  /** Milliseconds for one whole exchange. Default 30_000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds for making a connection, TLS included. Default 10_000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Sent with every request; the request's own win. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Agent to use in place of the client's own; the client does not close it. */
  readonly agent?: HttpAgent | HttpsAgent | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Connections at once to one host. Default 64; more requests wait. */
  readonly maxSockets?: number | undefined;
}

/** One request. */
export interface RequestInput {
  /** Default `GET`. */
  readonly method?: string | undefined;
  /** Absolute `http:` or `https:` address. */
  readonly url: string | URL;
  /** Path with query as it goes on the wire, in place of the url's, which cannot hold dot segments. */
  readonly rawPath?: string | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. A stream is read once, as fast as the connection takes it. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Bytes of a streamed body; unset, it goes chunked. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the whole exchange. With a streamed body or answer: for each stretch without progress. */
  readonly timeoutMs?: number | undefined;
  /** Longest answer in bytes, after decompression. For a streamed answer: unlimited unless given. */
  readonly maxBytes?: number | undefined;
}

/** A whole answer. */
export interface HttpResponse {
  readonly status: number;
  /** Values by lower-case name; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, decompressed. */
  readonly bytes: Uint8Array;
  /** The body as UTF-8 text. */
  text(): string;
  /** The body as JSON, checked as by `safeJsonParse`. `T` is the caller's claim: check what matters. */
  json<T = JsonValue>(): T;
}

/** An answer whose body is still on its way. Read the body, or call `discard`. */
export interface HttpStreamResponse {
  readonly status: number;
  /** Values by lower-case name; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as sent, not decompressed. May be read once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads the rest into memory, within the client's `maxBytes`. */
  buffered(): Promise<HttpResponse>;
  /** Gives the rest up and frees the connection. */
  discard(): void;
}

/** Sends single requests: no redirect is followed, nothing is repeated. */
export interface HttpClient {
  /**
   * One exchange. Any status is an answer, not an error: see `errorFromResponse`.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNAVAILABLE` (unknown host, refused, reset, cut short), `MNOPS_CORE_TIMEOUT`,
   * `MNOPS_CORE_TOO_LARGE`, `MNOPS_CORE_RESPONSE_INVALID` (not HTTP, wrong length, unknown encoding),
   * `MNOPS_CORE_CONFIG_INVALID` (address or header that cannot be sent), `MNOPS_CORE_CLOSED`. Messages name the origin
   * only, never path, query, headers or body. An abort rejects with the signal's reason.
   */
  request(input: RequestInput & { readonly stream?: false | undefined }): Promise<HttpResponse>;
  request(input: RequestInput & { readonly stream: true }): Promise<HttpStreamResponse>;
  /** Ends idle and running connections; later requests reject with `MNOPS_CORE_CLOSED`. */
  close(): Promise<void>;
}
