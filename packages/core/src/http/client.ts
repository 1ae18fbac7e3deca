import type { Agent, IncomingMessage } from 'node:http';
import { coreError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { decoded, limited, type PreparedBody, tooLarge } from './body.js';
import { type Exchange, exchange, type PreparedRequest } from './exchange.js';
import { safeJsonParse } from './json.js';
import { parsedUrl } from './resource-url.js';
import type { HttpClient, HttpClientOptions, HttpResponse, HttpStreamResponse, RequestInput } from './types.js';

/** Idle connections are dropped before a Node server's 5 s would end them under a request. */
const idleMs = 4_000;

/** Whether a value can be used as an `HttpClient`. */
export function isHttpClient(value: unknown): value is HttpClient {
  return typeof value === 'object' && value !== null && typeof (value as { request?: unknown }).request === 'function';
}

/**
 * Makes a client with connections of its own, kept alive between requests. It opens none before the first request.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when a bound is not a positive number.
 */
export function httpClient(options: HttpClientOptions = {}): HttpClient {
  const { maxBytes = 4_194_304, maxDepth = 64, timeoutMs = 30_000, connectTimeoutMs = 10_000 } = options;
  const { maxSockets = 64, tls, headers = {} } = options;
  const bounds = { maxBytes, maxDepth, timeoutMs, connectTimeoutMs, maxSockets };
  for (const [field, value] of Object.entries(bounds)) assertPositive(field, value);
  const agents = new Map<string, Agent>();
  let closed = false;

  function agentFor(protocol: string): Agent {
    if (options.agent !== undefined) return options.agent;
    const known = agents.get(protocol);
    if (known !== undefined) return known;
    const { Agent } = process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http');
    const agent = new Agent({ keepAlive: true, timeout: idleMs, maxSockets, scheduling: 'lifo' });
    agents.set(protocol, agent);
    return agent;
  }

  function begin(request: PreparedRequest, input: RequestInput, streamed: boolean): Promise<Exchange> {
    return exchange(request, {
      signal: input.signal,
      timeoutMs: input.timeoutMs ?? timeoutMs,
      renewable: streamed || isStream(input.body),
    });
  }

  function preparedRequest(input: RequestInput, streamed: boolean): PreparedRequest {
    if (closed) throw coreError('MNOPS_CORE_CLOSED', 'The HTTP client was closed.');
    const url = parsedUrl(input.url, 'url');
    const body = preparedBody(input);
    return {
      method: input.method ?? 'GET',
      url,
      path: input.rawPath ?? `${url.pathname}${url.search}`,
      headers: mergedHeaders(body, streamed, headers, input.headers),
      body,
      agent: agentFor(url.protocol),
      tls,
      connectTimeoutMs,
    };
  }

  async function buffered(running: Exchange, origin: string, limit: number): Promise<HttpResponse> {
    const { incoming } = running;
    const answerHeaders = plainHeaders(incoming);
    const limits = { origin, maxBytes: limit };
    const announced = Number(answerHeaders['content-length'] ?? 0);
    if (announced > limit && running.method !== 'HEAD') {
      running.end();
      throw tooLarge(origin, limit);
    }
    const raw = await running.whole(limit);
    const bytes = await decoded(raw, answerHeaders['content-encoding'], limits);
    return wholeResponse(incoming.statusCode ?? 0, answerHeaders, bytes, maxDepth);
  }

  function streamedResponse(running: Exchange, origin: string, limit: number | undefined): HttpStreamResponse {
    const { incoming } = running;
    return {
      status: incoming.statusCode ?? 0,
      headers: plainHeaders(incoming),
      body: limit === undefined ? running.body() : limited(running.body(), { origin, maxBytes: limit }),
      buffered: () => buffered(running, origin, limit ?? maxBytes),
      discard: running.end,
    };
  }

  async function request(input: RequestInput & { readonly stream?: boolean | undefined }): Promise<never> {
    const streamed = input.stream === true;
    try {
      const prepared = preparedRequest(input, streamed);
      const { origin } = prepared.url;
      const running = await begin(prepared, input, streamed);
      const response = streamed
        ? streamedResponse(running, origin, input.maxBytes)
        : await buffered(running, origin, input.maxBytes ?? maxBytes);
      return response as never; // the overloads of `HttpClient` say which of the two it is
    } catch (error) {
      if (closed && codeOf(error) === 'MNOPS_CORE_UNAVAILABLE') {
        throw coreError('MNOPS_CORE_CLOSED', 'The HTTP client was closed during the request.');
      }
      throw error;
    }
  }

  return {
    request,
    close: async () => {
      closed = true;
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

function assertPositive(field: string, value: number): void {
  if (value > 0) return;
  const issue = {
    field,
    expected: 'a number above 0',
    received: typeof value,
    remedy: 'Leave it out for the default.',
  };
  throw coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid options of httpClient: ${field} must be above 0.`, {
    details: { issues: [issue] },
  });
}

function isStream(body: RequestInput['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && !(body instanceof Uint8Array);
}

function isIterable(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  return Symbol.asyncIterator in body || Symbol.iterator in body;
}

/** Whatever cannot be sent is told by its field; the reason of `JSON.stringify` would quote names of the caller's data. */
function jsonText(json: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(json);
  } catch {
    // below
  }
  if (text !== undefined) return text;
  const remedy = 'Take out circular references, BigInt values, functions, and `toJSON` methods that throw.';
  throw unsendable('json', 'a value that JSON can hold', json, remedy);
}

function unsendable(field: string, expected: string, value: unknown, remedy: string): Error {
  const received = value === null ? 'null' : typeof value;
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid request: ${field} must be ${expected}.`, {
    details: { issues: [{ field, expected, received, remedy }] },
    remedy,
  });
}

function preparedBody(input: RequestInput): PreparedBody {
  if (input.json !== undefined) {
    const content = Buffer.from(jsonText(input.json));
    return { content, size: content.length, type: 'application/json' };
  }
  const { body } = input;
  const known = body === undefined || typeof body === 'string' || body instanceof Uint8Array || isIterable(body);
  if (!known) {
    throw unsendable('body', 'text, bytes or a stream of bytes', body, 'Use `json` to send an object as JSON.');
  }
  if (isStream(body)) return { content: body, size: input.size, type: undefined };
  const content = typeof body === 'string' ? Buffer.from(body) : body;
  return { content, size: content?.length, type: undefined };
}

function mergedHeaders(
  body: PreparedBody,
  streamed: boolean,
  ...sources: readonly (Readonly<Record<string, string | undefined>> | undefined)[]
): Record<string, string> {
  const merged: Record<string, string> = {};
  // A stored object keeps its own encoding, so a streamed answer is asked for as it is.
  merged['accept-encoding'] = streamed ? 'identity' : 'gzip, deflate, br';
  if (body.type !== undefined) merged['content-type'] = body.type;
  if (body.size !== undefined) merged['content-length'] = String(body.size);
  for (const source of sources) {
    for (const [name, value] of Object.entries(source ?? {})) {
      if (value !== undefined) merged[name.toLowerCase()] = value;
    }
  }
  return merged;
}

function plainHeaders(incoming: IncomingMessage): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    plain[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
  }
  return plain;
}

function wholeResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  bytes: Buffer,
  maxDepth: number,
): HttpResponse {
  const text = (): string => bytes.toString('utf8');
  return { status, headers, bytes, text, json: <T>() => safeJsonParse(text(), { maxDepth }) as T };
}
