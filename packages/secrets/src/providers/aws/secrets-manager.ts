import { systemClock } from '@mnops/core';
import { clockSchema, durationMsSchema, parseOptions } from '@mnops/core/config';
import { httpClient } from '@mnops/core/http';
import type { Clock, SecretCapabilities, SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import { type AwsCredentials, assertEndpoint, awsCredentialsSchema, regionSchema } from './aws-place.js';
import { secretReads } from './secret-reads.js';
import { maxValueBytes, secretWrites } from './secret-writes.js';
import { type AwsSecretsManagerClientLike, secretsSender } from './secrets-client.js';

/** Which Secrets Manager, and how to sign in. */
export interface AwsSecretsManagerOptions {
  /** Such as `eu-central-1`. */
  readonly region: string;
  /** Another address that speaks the protocol: https, or http on loopback. */
  readonly endpoint?: string | undefined;
  /** Default: the SDK's own chain, which reads the variables and files that AWS documents. */
  readonly credentials?: AwsCredentials | undefined;
  /** Ready client of `@aws-sdk/client-secrets-manager`, in place of `endpoint` and `credentials`. Set its `maxAttempts` to 1. */
  readonly client?: AwsSecretsManagerClientLike | undefined;
  /** Milliseconds after which every reader sees a write; a rotation waits so long before it promotes. Default 5_000. */
  readonly propagationMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  region: regionSchema,
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  credentials: v.optional(awsCredentialsSchema),
  client: v.optional(
    v.custom<AwsSecretsManagerClientLike>(
      (value) => typeof (value as { send?: unknown } | null)?.send === 'function',
      'a client with send',
    ),
  ),
  propagationMs: v.optional(durationMsSchema),
  clock: v.optional(clockSchema),
});

/** Longest answer: a batch of twenty values of 64 KiB, each byte written as six. */
const maxAnswerBytes = 9_437_184;

const capabilities: SecretCapabilities = {
  write: true,
  list: true,
  versionIds: 'token',
  stages: 'native',
  atomicPromote: 'native',
  compareAndSet: 'metadata',
  repeatableWrites: 'native',
  binary: 'native',
  keyValueMap: 'none',
  emptyValue: false,
  maxValueBytes,
  softDelete: 'secret',
  recoveryDays: { least: 7, most: 30 },
  serverExpiry: 'none',
  tags: 'native',
  annotations: true,
  batchGet: 20,
  watch: 'none',
  leases: false,
  durable: true,
  readAfterWrite: 'eventual',
  serverAudit: true,
  propagationMs: 5_000,
};

/**
 * Secrets in AWS Secrets Manager, by the optional package `@aws-sdk/client-secrets-manager` (version 3), which is loaded
 * with the first call.
 *
 * The stages `current`, `previous` and `pending` are the labels AWSCURRENT, AWSPREVIOUS and AWSPENDING; others keep their
 * names. The write token is the id of the version. Expiry and content type are a label `mnops-…` of their version, so that
 * a read has them without a second request; of old versions without a stage they are dropped when AWS's quota of 20
 * labels is reached. Annotations are tags `mnops:annotation:…`. The first version of a secret is current, and single
 * versions cannot be deleted. A value that is text is stored as text, anything else as bytes.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Calls reject with `MNOPS_CORE_DEPENDENCY_MISSING` where the SDK is not
 * installed, and writes to a deleted secret with `MNOPS_SECRETS_PENDING_DELETION`.
 */
export function awsSecretsManager(options: AwsSecretsManagerOptions): SecretProvider {
  const parsed = parseOptions('awsSecretsManager', optionsSchema, options);
  const { region, endpoint, clock = systemClock(), propagationMs = capabilities.propagationMs } = parsed;
  assertEndpoint('awsSecretsManager', endpoint);
  const transport = httpClient({ maxBytes: maxAnswerBytes });
  const { credentials, client } = options;
  const send = secretsSender({ region, endpoint, credentials, client, transport });
  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'aws',
    capabilities: { ...capabilities, propagationMs },
    ...secretReads(send, clock),
    ...secretWrites(send, clock),
    close: () => transport.close(),
  };
}
