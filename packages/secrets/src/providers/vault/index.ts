import { coreError, systemClock } from '@mnops/core';
import type { SecretCapabilities, SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import { VaultConnection } from './connection.js';
import { issueCredential, renewCredential, revokeCredential } from './credentials.js';
import type { KvPlace } from './kv-answers.js';
import { describeSecret, getSecret, listSecrets, versionsOf } from './kv-read.js';
import { annotateSecret, deleteSecret, moveSecretStage, putSecret, restoreSecret } from './kv-write.js';
import { checkVaultOptions, mountSchema, type VaultConnectionOptions } from './options.js';
import { providerId } from './vault-error.js';
import { wirePath } from './wire-path.js';

export type { NodeVaultLike, VaultAuth, VaultConnectionOptions } from './options.js';
export { type VaultTransitKeyOptions, vaultTransitKey } from './transit-key.js';

/** Where the secrets are, and how to sign in. */
export interface HashicorpVaultOptions extends VaultConnectionOptions {
  /** Where the KV engine, version 2, is. Default `secret`. */
  readonly mount?: string | undefined;
}

/** A version is one storage entry; with integrated storage or Consul it has at least 512 KiB, of which base64 takes a third. */
const maxValueBytes = 384 * 1_024;

const capabilities: SecretCapabilities = {
  write: true,
  list: true,
  versionIds: 'integer',
  maxVersions: 10,
  stages: 'emulated',
  atomicPromote: 'emulated',
  compareAndSet: 'version',
  repeatableWrites: 'emulated',
  binary: 'emulated',
  keyValueMap: 'native',
  emptyValue: true,
  maxValueBytes,
  softDelete: 'version',
  serverExpiry: 'none',
  tags: 'native',
  annotations: true,
  batchGet: 0,
  watch: 'none',
  leases: true,
  durable: true,
  readAfterWrite: 'strong',
  serverAudit: true,
  propagationMs: 0,
};

/**
 * Secrets in a KV version 2 engine of HashiCorp Vault or OpenBao, and credentials that their other engines make.
 *
 * A JSON object of texts is stored field by field; other values are the field `value`, or `base64` when they are no text.
 * Stages, tags, expiry, content type and annotations are `custom_metadata`. The provider signs in once, renews its token
 * and signs in again when it has died. Nothing is read from the environment.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; the first call `MNOPS_CORE_DEPENDENCY_MISSING` without node-vault.
 */
export function hashicorpVault(options: HashicorpVaultOptions): SecretProvider {
  checkVaultOptions('hashicorpVault', { mount: v.optional(mountSchema) }, options);
  const { mount = 'secret', clock = systemClock() } = options;
  const connection = new VaultConnection(options);
  const place: KvPlace = { connection, mount: wirePath(mount), now: () => clock.now() };
  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: providerId,
    capabilities,
    open: (call) => connection.open(call),
    close: () => connection.close(),
    get: (path, at, call) => getSecret(place, path, at, call),
    async put(path, value, putOptions, call) {
      call.signal.throwIfAborted();
      if (value.length > maxValueBytes) throw tooLong();
      return await putSecret(place, path, value, putOptions, call);
    },
    describe: (path, call) => describeSecret(place, path, call),
    listVersions: (path, call) => versionsOf(place, path, call),
    list: (prefix, call) => listSecrets(place, prefix, call),
    annotate: (path, change, call) => annotateSecret(place, path, change, call),
    setStage: (path, stage, move, call) => moveSecretStage(place, path, stage, move, call),
    delete: (path, deleteOptions, call) => deleteSecret(place, path, deleteOptions, call),
    restore: (path, { versions }, call) => restoreSecret(place, path, versions, call),
    issue: (path, ttlMs, call) => issueCredential(connection, path, ttlMs, call),
    renew: (leaseId, ttlMs, call) => renewCredential(connection, leaseId, ttlMs, call),
    revoke: (leaseId, call) => revokeCredential(connection, leaseId, call),
  };
}

function tooLong(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `Vault takes values of at most ${maxValueBytes} bytes.`, {
    provider: providerId,
  });
}
