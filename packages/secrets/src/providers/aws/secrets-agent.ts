import { coreError, credential, type MnopsError, UnsupportedError } from '@mnops/core';
import { configError, credentialSchema, parseOptions } from '@mnops/core/config';
import { errorFromResponse, type HttpClient, type HttpResponse, httpClient, isHttpClient } from '@mnops/core/http';
import type { Call, Credential, SecretCapabilities, SecretProvider, SecretRecord, StoredSecret } from '@mnops/core/spi';
import * as v from 'valibot';
import { awsError, awsInvalid, safeName } from './aws-error.js';
import { recordOfSecret, valueIn } from './secret-answers.js';
import { deleted, isNotFound, isPendingDeletion } from './secret-errors.js';
import { isVersionId, labelOf } from './secret-labels.js';
import { secretNameOf } from './secret-name.js';
import { assertAsked } from './secret-reads.js';

/** Where the agent listens, and what it wants to see. */
export interface AwsSecretsAgentOptions {
  /** Address on this machine. Default `http://localhost:2773`. */
  readonly endpoint?: string | undefined;
  /** The agent's SSRF token: what stands in the file that the agent was started with. */
  readonly token: Credential;
  /** Whether each read makes the agent look anew. Without it the agent answers from its own cache. Default true. */
  readonly refreshNow?: boolean | undefined;
  /** Ready client; it is not closed with the provider. */
  readonly client?: HttpClient | undefined;
}

const optionsSchema = v.strictObject({
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  token: credentialSchema,
  refreshNow: v.optional(v.boolean()),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
});

const provider = 'aws-agent';

const capabilities: SecretCapabilities = {
  write: false,
  list: false,
  versionIds: 'token',
  stages: 'native',
  atomicPromote: 'none',
  compareAndSet: 'none',
  repeatableWrites: 'none',
  binary: 'native',
  keyValueMap: 'none',
  emptyValue: false,
  maxValueBytes: 65_536,
  softDelete: 'none',
  serverExpiry: 'none',
  tags: 'none',
  annotations: false,
  batchGet: 0,
  watch: 'none',
  leases: false,
  durable: true,
  readAfterWrite: 'eventual',
  serverAudit: true,
  propagationMs: 300_000,
};

/**
 * Secrets that AWS's Secrets Manager Agent on this machine reads: no SDK and no credentials in the program. Values can be
 * read, by stage or version, and nothing else. Each read asks the agent to look anew unless `refreshNow` is false: this
 * package has a cache of its own, and an agent that answers from its cache too goes on telling a reader whose right was
 * taken away.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`, also for an address of another machine: the agent speaks plain HTTP.
 */
export function awsSecretsAgent(options: AwsSecretsAgentOptions): SecretProvider {
  const parsed = parseOptions('awsSecretsAgent', optionsSchema, options);
  const { client = httpClient(), refreshNow = true } = parsed;
  const origin = originOf(parsed.endpoint ?? 'http://localhost:2773');
  const { token } = options;

  async function read(
    path: string,
    at: { readonly version?: string | undefined; readonly label?: string | undefined },
    operation: string,
    call: Call,
  ): Promise<StoredSecret | undefined> {
    call.signal.throwIfAborted();
    const secretId = secretNameOf(path);
    const query = new URLSearchParams({ secretId });
    if (at.version !== undefined) query.set('versionId', at.version);
    if (at.label !== undefined) query.set('versionStage', at.label);
    if (refreshNow) query.set('refreshNow', 'true');
    const url = new URL(`/secretsmanager/get?${query}`, origin);
    const headers = { 'x-aws-parameters-secrets-token': await credential(token, call) };
    const response = await client.request({ url, headers, signal: call.signal });
    if (response.status === 200) {
      const answer = fieldsOf(response, operation);
      assertAsked(provider, answer, secretId, at.version);
      return valueIn(answer, operation);
    }
    const error = refusal(response, operation);
    if (isNotFound(error)) return undefined;
    if (isPendingDeletion(error)) throw deleted(path);
    if (at.version !== undefined && at.label !== undefined && error.details?.['reason'] === 'InvalidRequestException')
      return undefined;
    throw error;
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: provider,
    capabilities,
    async close() {
      if (options.client === undefined) await client.close();
    },
    async get(path, { version, stage }, call) {
      if (version !== undefined && !isVersionId(version)) return undefined;
      const label = stage === undefined ? (version === undefined ? 'AWSCURRENT' : undefined) : labelOf(stage);
      return await read(path, { version, label }, 'get', call);
    },
    async describe(path, call): Promise<SecretRecord | undefined> {
      const stored = await read(path, { label: 'AWSCURRENT' }, 'describe', call);
      if (stored === undefined) return undefined;
      const { version, stages, createdAtMs = 0, expiresAtMs, contentType } = stored;
      const labels = new Map([[version, stages.map(labelOf)]]);
      const facts = { name: path, labels, createdAtMs, changedAtMs: createdAtMs, deletedAtMs: undefined, tags: [] };
      return { ...recordOfSecret(facts, path), expiresAtMs, contentType };
    },
    async *listVersions(path, call) {
      const stored = await read(path, { label: 'AWSCURRENT' }, 'listVersions', call);
      if (stored === undefined) return;
      const { version, stages, createdAtMs = 0, expiresAtMs } = stored;
      yield { version, stages, state: 'enabled', createdAtMs, expiresAtMs };
    },
    list: () => {
      throw readOnly();
    },
    put: () => Promise.reject(readOnly()),
    delete: () => Promise.reject(readOnly()),
  };
}

function originOf(endpoint: string): URL {
  const url = new URL(endpoint);
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && isLoopback) return url;
  const expected = 'an http address of this machine';
  const remedy = 'The agent answers in clear: use it on the machine that it runs on.';
  throw configError('awsSecretsAgent', [{ field: 'endpoint', expected, received: 'another address', remedy }]);
}

/** The agent's JSON in the types of the SDK: base64 as bytes, times as dates. */
function fieldsOf(response: HttpResponse, operation: string): Readonly<Record<string, unknown>> {
  let answer: unknown;
  try {
    answer = response.json();
  } catch {
    throw awsInvalid(provider, operation, 'JSON');
  }
  if (typeof answer !== 'object' || answer === null) throw awsInvalid(provider, operation, 'object');
  const { SecretBinary: binary, CreatedDate: created, ...rest } = answer as Readonly<Record<string, unknown>>;
  // Seconds with a fraction; the agent writes them as text.
  const seconds = typeof created === 'number' || typeof created === 'string' ? Number(created) : Number.NaN;
  return {
    ...rest,
    ...(typeof binary === 'string' ? { SecretBinary: Buffer.from(binary, 'base64') } : {}),
    CreatedDate: new Date(seconds * 1_000),
  };
}

/** The agent passes AWS's refusals on; its own are about its token. */
function refusal(response: HttpResponse, operation: string): MnopsError {
  const { status, headers } = response;
  let answer: Readonly<Record<string, unknown>> = {};
  try {
    answer = response.json<Readonly<Record<string, unknown>>>() ?? {};
  } catch {
    // Its own refusals are plain text.
  }
  const type = answer['__type'] ?? answer['code'] ?? answer['Code'];
  const reason = typeof type === 'string' ? safeName(type.slice(type.lastIndexOf('#') + 1)) : undefined;
  if (reason === undefined && status === 403)
    return coreError('MNOPS_CORE_ACCESS_DENIED', `${provider}: the agent refused the token.`, {
      provider,
      operation,
      details: { status },
      remedy: 'Give the token of the file that the agent was started with.',
    });
  if (reason === undefined) return errorFromResponse(response, { provider, operation });
  const text = String(answer['message'] ?? answer['Message'] ?? '');
  return awsError({ provider, operation, reason, text, status, headers });
}

function readOnly(): UnsupportedError {
  return new UnsupportedError(`${provider}: values can only be read.`, {
    provider,
    remedy: 'Write and list with `awsSecretsManager`.',
  });
}
