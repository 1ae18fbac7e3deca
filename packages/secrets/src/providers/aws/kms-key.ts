import { coreError, systemClock } from '@mnops/core';
import { clockSchema, parseOptions } from '@mnops/core/config';
import { type HttpClient, type HttpResponse, httpClient, isHttpClient, signAwsRequest } from '@mnops/core/http';
import type { Call, Clock, KeyWrapper } from '@mnops/core/spi';
import * as v from 'valibot';
import { awsError, awsInvalid, reasonOf, safeName } from './aws-error.js';
import { type AwsCredentials, assertEndpoint, awsCredentialsSchema, keysOf, regionSchema } from './aws-place.js';

/** A key of KMS, and how to reach it. */
export interface AwsKmsKeyOptions {
  /**
   * ARN or id of a symmetric key. An alias can be moved to another key, so it is not taken. Multi-Region replicas of one
   * key have the same id: with the id, a replica unwraps what another wrapped.
   */
  readonly keyId: string;
  /** Such as `eu-central-1`. */
  readonly region: string;
  /** Another address that speaks the protocol: https, or http on loopback. Default: AWS, by region. */
  readonly endpoint?: string | undefined;
  /** Keys that may call `kms:Encrypt` and `kms:Decrypt`. */
  readonly credentials: AwsCredentials;
  /** Ready client; it is not closed with the key. */
  readonly client?: HttpClient | undefined;
  /** Dates the signatures. */
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  keyId: v.pipe(
    v.string(),
    v.maxBytes(255),
    v.regex(
      /^(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/)?(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
      'the ARN or the id of a key, no alias',
    ),
  ),
  region: regionSchema,
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  credentials: awsCredentialsSchema,
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
  clock: v.optional(clockSchema),
});

const provider = 'aws-kms';

/** Under this name the context is authenticated with the wrapped key, and written to CloudTrail as base64url. */
const contextName = 'mnops-context';

/** Refusals that mean: not what was wrapped, or not for this purpose. */
const damagedReasons: ReadonlySet<unknown> = new Set(['InvalidCiphertextException', 'ValidationException']);
/** Refusals that mean: not by this key. */
const otherKeyReasons: ReadonlySet<unknown> = new Set(['IncorrectKeyException', 'NotFoundException']);
/** Refusals that mean: this key cannot be used now. */
const unusableReasons: ReadonlySet<unknown> = new Set([
  'DisabledException',
  'InvalidKeyUsageException',
  'KMSInvalidStateException',
  'KeyUnavailableException',
]);

/**
 * Wraps data keys with a key that never leaves KMS: `encryptedFile({ file, key: awsKmsKey({ … }) })` then needs KMS to be
 * opened, and the policy of the key decides who may. Over plain HTTPS with Signature Version 4, without an SDK. Automatic
 * rotation of the key in KMS is fine: KMS finds the older material by itself.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Calls reject with `MNOPS_CORE_KEY_INVALID` for a key that is absent,
 * disabled, or not the one that wrapped, and with `MNOPS_CORE_INTEGRITY` for a wrapped key that was changed.
 */
export function awsKmsKey(options: AwsKmsKeyOptions): KeyWrapper {
  const parsed = parseOptions('awsKmsKey', optionsSchema, options);
  const { keyId, region, endpoint, client = httpClient(), clock = systemClock() } = parsed;
  assertEndpoint('awsKmsKey', endpoint);
  const url = new URL(
    endpoint ?? `https://kms.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}`,
  );
  const { credentials } = options;

  async function send(
    target: 'Encrypt' | 'Decrypt',
    input: object,
    call: Call,
  ): Promise<Readonly<Record<string, unknown>>> {
    const operation = target.toLowerCase();
    const body = JSON.stringify(input);
    const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${target}` };
    const keys = await keysOf(credentials, call);
    const signed = signAwsRequest(
      { method: 'POST', url, headers, body },
      { credentials: keys, region, service: 'kms', atMs: clock.now() },
    );
    const response = await client.request({
      method: 'POST',
      url,
      headers: { ...headers, ...signed },
      body,
      signal: call.signal,
    });
    const answer = objectIn(response);
    if (response.status !== 200) {
      throw target === 'Decrypt' && isForeign(answer)
        ? otherKey('another key', keyId)
        : refused(response, answer, operation);
    }
    if (answer === undefined) throw awsInvalid(provider, operation, 'JSON');
    return answer;
  }

  return {
    specVersion: 1,
    kind: 'key-wrapper',
    id: provider,
    keyId,
    async close() {
      if (options.client === undefined) await client.close();
    },
    async wrap(dataKey, context, call) {
      call.signal.throwIfAborted();
      const input = { KeyId: keyId, Plaintext: base64(dataKey), EncryptionContext: contextOf(context) };
      const answer = await send('Encrypt', input, call).catch((error: unknown) => {
        const reason = reasonOf(error);
        throw unusableReasons.has(reason) || otherKeyReasons.has(reason) ? unusable(keyId) : error;
      });
      if (!isKey(answer['KeyId'], keyId)) throw awsInvalid(provider, 'encrypt', 'KeyId');
      return bytesOf(answer['CiphertextBlob'], 'encrypt', 'CiphertextBlob');
    },
    async unwrap(wrappedBy, wrapped, context, call) {
      call.signal.throwIfAborted();
      if (wrappedBy !== keyId) throw otherKey(wrappedBy, keyId);
      if (wrapped.length < 1 || wrapped.length > 6_144) throw damaged();
      const input = { KeyId: keyId, CiphertextBlob: base64(wrapped), EncryptionContext: contextOf(context) };
      const answer = await send('Decrypt', input, call).catch((error: unknown) => {
        const reason = reasonOf(error);
        if (damagedReasons.has(reason)) throw damaged();
        if (otherKeyReasons.has(reason)) throw otherKey('another key', keyId);
        throw unusableReasons.has(reason) ? unusable(keyId) : error;
      });
      // Servers that speak the protocol may take the key from the wrapped bytes and not look at the one that was named.
      if (!isKey(answer['KeyId'], keyId)) throw otherKey('another key', keyId);
      return bytesOf(answer['Plaintext'], 'decrypt', 'Plaintext');
    },
  };
}

function contextOf(context: Uint8Array): Readonly<Record<string, string>> {
  // KMS takes texts only, and none that are empty.
  return { [contextName]: `v1.${Buffer.from(context).toString('base64url')}` };
}

/** Whether an answer names the key: KMS answers with the ARN, whichever way it was asked. */
function isKey(answered: unknown, keyId: string): boolean {
  if (typeof answered !== 'string') return false;
  return answered === keyId || (!keyId.startsWith('arn:') && answered.endsWith(`:key/${keyId}`));
}

function objectIn(response: HttpResponse): Readonly<Record<string, unknown>> | undefined {
  try {
    const answer: unknown = response.json();
    return typeof answer === 'object' && answer !== null && !Array.isArray(answer)
      ? (answer as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

function refused(
  response: HttpResponse,
  answer: Readonly<Record<string, unknown>> | undefined,
  operation: string,
): Error {
  const { status, headers } = response;
  const type = answer?.['__type'];
  const reason = typeof type === 'string' ? safeName(type.slice(type.lastIndexOf('#') + 1)) : undefined;
  return awsError({ provider, operation, reason, text: '', status, headers, requestId: undefined });
}

/**
 * KMS denies what names a key that is not there as if it were a matter of rights; its sentence tells the two apart. Where
 * there is no sentence, it is no refusal of rights either: that one says who may not do what.
 */
function isForeign(answer: Readonly<Record<string, unknown>> | undefined): boolean {
  const text = answer?.['message'] ?? answer?.['Message'] ?? '';
  const type = answer?.['__type'];
  if (typeof type !== 'string' || !type.endsWith('AccessDeniedException') || typeof text !== 'string') return false;
  return text === '' || text.startsWith('The ciphertext refers to');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function bytesOf(value: unknown, operation: string, what: string): Buffer {
  if (typeof value === 'string' && value !== '') return Buffer.from(value, 'base64');
  throw awsInvalid(provider, operation, what);
}

function damaged(): Error {
  const message = 'KMS did not unwrap the key: it was changed, wrapped by another key or for another purpose.';
  return coreError('MNOPS_CORE_INTEGRITY', message, { provider });
}

function otherKey(wrappedBy: string, keyId: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `The data was wrapped by ${wrappedBy}, not by ${keyId}.`, { provider });
}

function unusable(keyId: string): Error {
  return coreError('MNOPS_CORE_KEY_INVALID', `KMS has no key ${keyId} that can be used now.`, {
    provider,
    remedy: 'Check that it is a symmetric key for encryption, in this region, and enabled.',
  });
}
