import { codeOf, coreError, systemClock } from '@mnops/core';
import type { Call, SecretCapabilities, SecretProvider } from '@mnops/core/spi';
import * as v from 'valibot';
import { VaultConnection } from './connection.js';
import { issueCredential, renewCredential, revokeCredential } from './credentials.js';
import type { KvPlace } from './kv-answers.js';
import { KvOne, kvOneCapabilities, kvVersionAt, unsupported } from './kv-one.js';
import { describeSecret, getSecret, listSecrets, versionsOf } from './kv-read.js';
import { annotateSecret, deleteSecret, moveSecretStage, putSecret, restoreSecret } from './kv-write.js';
import { checkVaultOptions, mountSchema, type VaultConnectionOptions } from './options.js';
import { providerId } from './vault-error.js';
import { wirePath } from './wire-path.js';

export type { NodeVaultLike, VaultAuth, VaultConnectionOptions } from './options.js';
export { type VaultTransitKeyOptions, vaultTransitKey } from './transit-key.js';

/** Where the secrets are, and how to sign in. */
export interface HashicorpVaultOptions extends VaultConnectionOptions {
  /** Where the KV engine is. Default `secret`. */
  readonly mount?: string | undefined;
  /**
   * Version of the KV engine. Default: what Vault says when the provider is opened, and 2 until then or where it does not
   * say; inside `route`, `fallback` and `mirror`, which look at abilities before, give it.
   */
  readonly kvVersion?: 1 | 2 | undefined;
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
 * Secrets in a KV engine of HashiCorp Vault or OpenBao, and credentials that their other engines make.
 *
 * A JSON object of texts is stored field by field; other values are the field `value`, or `base64` when they are no text.
 * Stages, tags, expiry, content type and annotations are `custom_metadata`. An engine of version 1 has current values only:
 * no versions, stages, conditions, expiry, tags or undo, which are refused with `MNOPS_CORE_UNSUPPORTED`; fields come back
 * sorted by name. The provider signs in once, renews its token
 * and signs in again when it has died. Nothing is read from the environment.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; the first call `MNOPS_CORE_DEPENDENCY_MISSING` without node-vault.
 */
export function hashicorpVault(options: HashicorpVaultOptions): SecretProvider {
  const own = { mount: v.optional(mountSchema), kvVersion: v.optional(v.picklist([1, 2])) };
  checkVaultOptions('hashicorpVault', own, options);
  const { mount = 'secret', kvVersion, clock = systemClock() } = options;
  const connection = new VaultConnection(options);
  const place: KvPlace = { connection, mount: wirePath(mount), now: () => clock.now() };
  const one = new KvOne(place);
  const oneCapabilities = kvOneCapabilities(capabilities);
  let found = kvVersion;
  const isOne = (): boolean => found === 1;

  async function detect(call: Call): Promise<void> {
    try {
      found = await kvVersionAt(place, call);
    } catch (error) {
      if (codeOf(error) !== 'MNOPS_CORE_ACCESS_DENIED') throw error;
    }
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: providerId,
    get capabilities() {
      return isOne() ? oneCapabilities : capabilities;
    },
    async open(call) {
      await connection.open(call);
      if (found === undefined) await detect(call);
    },
    close: () => connection.close(),
    get: (path, at, call) => (isOne() ? one.get(path, at, call) : getSecret(place, path, at, call)),
    async put(path, value, putOptions, call) {
      call.signal.throwIfAborted();
      if (value.length > maxValueBytes) throw tooLong();
      if (isOne()) return await one.put(path, value, putOptions, call);
      return await putSecret(place, path, value, putOptions, call);
    },
    describe: (path, call) => (isOne() ? one.describe(path, call) : describeSecret(place, path, call)),
    listVersions: (path, call) => (isOne() ? one.listVersions(path, call) : versionsOf(place, path, call)),
    list: (prefix, call) => (isOne() ? one.list(prefix, call) : listSecrets(place, prefix, call)),
    async delete(path, deleteOptions, call) {
      if (isOne()) await one.delete(path, deleteOptions, call);
      else await deleteSecret(place, path, deleteOptions, call);
    },
    ...(kvVersion === 1 ? {} : changesOf(place, isOne)),
    issue: (path, ttlMs, call) => issueCredential(connection, path, ttlMs, call),
    renew: (leaseId, ttlMs, call) => renewCredential(connection, leaseId, ttlMs, call),
    revoke: (leaseId, call) => revokeCredential(connection, leaseId, call),
  };
}

/** What version 2 changes beside values; an engine that turns out to be of version 1 refuses. */
function changesOf(place: KvPlace, isOne: () => boolean): Pick<SecretProvider, 'annotate' | 'setStage' | 'restore'> {
  return {
    async annotate(path, change, call) {
      if (isOne()) throw unsupported('annotations');
      await annotateSecret(place, path, change, call);
    },
    async setStage(path, stage, move, call) {
      if (isOne()) throw unsupported('stages');
      await moveSecretStage(place, path, stage, move, call);
    },
    async restore(path, { versions }, call) {
      if (isOne()) throw unsupported('softDelete');
      await restoreSecret(place, path, versions, call);
    },
  };
}

function tooLong(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `Vault takes values of at most ${maxValueBytes} bytes.`, {
    provider: providerId,
  });
}
