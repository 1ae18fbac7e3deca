import { systemClock } from '@mnops/core';
import { clockSchema, configError, durationMsSchema, parseOptions } from '@mnops/core/config';
import { type HttpClient, httpClient, isHttpClient } from '@mnops/core/http';
import type { Clock, SecretCapabilities, SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import { vaultCalls } from './vault-calls.js';
import { vaultOperations } from './vault-operations.js';
import { type TokenCredentialLike, vaultSender } from './vault-request.js';

export type { TokenCredentialLike } from './vault-request.js';

/** Which vault, and how to sign in. */
export interface AzureKeyVaultOptions {
  /** Such as `https://my-vault.vault.azure.net`. */
  readonly vaultUrl: string;
  /** A credential of `@azure/identity`, or anything with its `getToken`. Its tokens are kept until shortly before their end. */
  readonly credential: TokenCredentialLike;
  /** Milliseconds between two looks at a deletion or recovery that goes on. Default 2_000. */
  readonly pollIntervalMs?: number | undefined;
  /** Ready client; it is not closed with the provider. */
  readonly client?: HttpClient | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  vaultUrl: v.pipe(v.string(), v.url()),
  credential: v.custom<TokenCredentialLike>(
    (value) => typeof (value as { getToken?: unknown } | null)?.getToken === 'function',
    'a credential with getToken',
  ),
  pollIntervalMs: v.optional(durationMsSchema),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
  clock: v.optional(clockSchema),
});

const capabilities: SecretCapabilities = {
  write: true,
  list: true,
  versionIds: 'token',
  stages: 'emulated',
  atomicPromote: 'emulated',
  compareAndSet: 'none',
  repeatableWrites: 'none',
  binary: 'emulated',
  keyValueMap: 'none',
  emptyValue: false,
  maxValueBytes: 25_000,
  softDelete: 'secret',
  serverExpiry: 'advisory',
  tags: 'native',
  annotations: true,
  batchGet: 0,
  watch: 'none',
  leases: false,
  durable: true,
  readAfterWrite: 'strong',
  serverAudit: true,
  propagationMs: 0,
};

/**
 * Secrets in Azure Key Vault (REST API 7.6).
 *
 * The vault knows neither stages nor conditions. What is written is current at once; a pending value is kept in a secret
 * `<name>--pending` beside and copied when it is promoted, under the same version id; `previous` is a tag. Two writers at
 * once are not kept apart. Names are the same in any case there: an existing secret `DbPassword` has the path
 * `dbpassword`. Lists do not say which version is current. The whole vault decides for how long deleted secrets can be
 * restored; meanwhile a write is `MNOPS_SECRETS_PENDING_DELETION`.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Calls reject with `MNOPS_CORE_UNAUTHENTICATED` when the host asks for
 * a token that is not meant for it.
 */
export function azureKeyVault(options: AzureKeyVaultOptions): SecretProvider {
  const parsed = parseOptions('azureKeyVault', optionsSchema, options);
  const { client = httpClient(), clock = systemClock(), pollIntervalMs = 2_000 } = parsed;
  const vault = new URL(parsed.vaultUrl);
  if (vault.protocol !== 'https:' || vault.pathname !== '/' || vault.search !== '') {
    const expected = 'an https address without a path';
    const remedy = 'Copy the vault URI from the overview of the vault.';
    throw configError('azureKeyVault', [{ field: 'vaultUrl', expected, received: 'another address', remedy }]);
  }
  const send = vaultSender({ client, vault, credential: options.credential, clock });
  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'azure',
    capabilities,
    ...vaultOperations(vaultCalls(send, clock, pollIntervalMs), clock),
    async close() {
      if (options.client === undefined) await client.close();
    },
  };
}
