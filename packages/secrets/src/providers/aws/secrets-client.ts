import { codeOf, MnopsError } from '@mnops/core';
import type { AwsKeys, HttpClient } from '@mnops/core/http';
import type { Call } from '@mnops/core/spi';
import { loadPeer } from '../../load-peer.js';
import { awsError, awsInvalid, safeName } from './aws-error.js';
import { type AwsCredentials, keysOf } from './aws-place.js';

const provider = 'aws';

/** A client of `@aws-sdk/client-secrets-manager`, or what has its `send`. */
export interface AwsSecretsManagerClientLike {
  send(command: never, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
}

/** Where Secrets Manager is and who asks. */
export interface SecretsPlace {
  readonly region: string;
  readonly endpoint?: string | undefined;
  readonly credentials?: AwsCredentials | undefined;
  readonly client?: AwsSecretsManagerClientLike | undefined;
  readonly transport: HttpClient;
}

type Sdk = typeof import('@aws-sdk/client-secrets-manager');

/** Fields of an answer, not checked yet. */
export type Answer = Readonly<Record<string, unknown>>;

/** Sends one command; a refusal is a `MnopsError` without AWS's own text. */
export type SecretsSender = (
  operation: string,
  command: keyof Sdk & `${string}Command`,
  input: Readonly<Record<string, unknown>>,
  call: Call,
) => Promise<Answer>;

/** Makes the function that sends commands by the SDK, which is loaded with the first one. */
export function secretsSender(place: SecretsPlace): SecretsSender {
  let sdk: Promise<Sdk> | undefined;
  let made: { readonly client: AwsSecretsManagerClientLike; readonly keys: AwsKeys | undefined } | undefined;

  async function loaded(): Promise<Sdk> {
    sdk ??= loadPeer('@aws-sdk/client-secrets-manager@3', 'awsSecretsManager', () =>
      import('@aws-sdk/client-secrets-manager').catch((error: unknown) => Promise.reject(error)),
    );
    try {
      return await sdk;
    } catch (error) {
      sdk = undefined;
      throw error;
    }
  }

  async function clientFor({ SecretsManagerClient }: Sdk, call: Call): Promise<AwsSecretsManagerClientLike> {
    const { client, credentials, endpoint, region, transport } = place;
    if (client !== undefined) return client;
    // The SDK keeps keys for as long as they say; a client per pair of keys follows their rotation.
    const keys = credentials === undefined ? undefined : await keysOf(credentials, call);
    if (made !== undefined && sameKeys(made.keys, keys)) return made.client;
    const next = new SecretsManagerClient({
      region,
      // The host repeats, not the SDK: attempts would multiply.
      maxAttempts: 1,
      requestHandler: requestHandler(transport),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(keys === undefined ? {} : { credentials: withoutAbsent(keys) }),
    });
    made = { client: next, keys };
    return next;
  }

  return async (operation, command, input, call) => {
    call.signal.throwIfAborted();
    const modules = await loaded();
    const client = await clientFor(modules, call);
    const Command = modules[command] as unknown as new (input: Readonly<Record<string, unknown>>) => never;
    try {
      const answer: unknown = await client.send(new Command(input), { abortSignal: call.signal });
      if (typeof answer === 'object' && answer !== null) return answer as Answer;
    } catch (error) {
      call.signal.throwIfAborted();
      throw translated(error, operation);
    }
    throw awsInvalid(provider, operation, 'object');
  };
}

function sameKeys(one: AwsKeys | undefined, other: AwsKeys | undefined): boolean {
  return (
    one?.accessKeyId === other?.accessKeyId &&
    one?.secretAccessKey === other?.secretAccessKey &&
    one?.sessionToken === other?.sessionToken
  );
}

function withoutAbsent({ sessionToken, ...keys }: AwsKeys): { accessKeyId: string; secretAccessKey: string } {
  return sessionToken === undefined ? keys : { ...keys, ...{ sessionToken } };
}

/** Core's client as the SDK's handler: bounded answers, no redirects, errors without a value. */
function requestHandler(transport: HttpClient): object {
  return {
    handle: async (request: SdkRequest, options: { readonly abortSignal?: AbortSignal } = {}) => {
      const { method, protocol, hostname, port, path, query = {}, headers, body } = request;
      const { host: _, ...sent } = headers;
      const address = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`;
      const answer = await transport.request({
        method,
        url: address,
        rawPath: withQuery(path, query),
        headers: sent,
        body: method === 'GET' ? undefined : (body ?? ''),
        signal: options.abortSignal,
      });
      return { response: { statusCode: answer.status, headers: answer.headers, body: answer.bytes } };
    },
    destroy: () => undefined,
  };
}

interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
}

function withQuery(path: string, query: NonNullable<SdkRequest['query']>): string {
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    [value].flat().map((one) => `${encodeURIComponent(key)}=${encodeURIComponent(String(one ?? ''))}`),
  );
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}

const namesOfNothing = new Set(['Unknown', 'UnknownError', 'Error']);

/** An error of the SDK without what it holds of the answer. */
function translated(error: unknown, operation: string): MnopsError {
  if (MnopsError.is(error)) return error;
  const { name, message, $metadata, $response } = (error ?? {}) as {
    readonly name?: unknown;
    readonly message?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: unknown; readonly requestId?: unknown };
    readonly $response?: { readonly headers?: unknown };
  };
  const reason = namesOfNothing.has(String(name)) ? undefined : safeName(name);
  const { httpStatusCode: status, requestId } = $metadata ?? {};
  if (typeof status === 'number' && status >= 200 && status < 300) return awsInvalid(provider, operation, 'JSON');
  const connection = typeof status !== 'number' && (codeOf(error) !== undefined || reason === 'TimeoutError');
  const shown = { status: typeof status === 'number' ? status : connection ? 503 : 400, headers: headersOf($response) };
  return awsError({
    provider,
    operation,
    reason: connection ? undefined : reason,
    text: typeof message === 'string' ? message : '',
    ...shown,
    requestId: typeof requestId === 'string' && /^[\w-]{1,64}$/.test(requestId) ? requestId : undefined,
  });
}

function headersOf(response: { readonly headers?: unknown } | undefined): Record<string, string> {
  const headers = response?.headers;
  if (typeof headers !== 'object' || headers === null) return {};
  const texts = Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts.map(([key, value]) => [key.toLowerCase(), value]));
}
