import { createHmac, randomBytes } from 'node:crypto';
import { UnsupportedError } from '@mnops/core';
import type {
  SecretCapabilities,
  SecretProvider,
  SecretRecord,
  SecretSelector,
  SecretVersionRecord,
  StoredSecret,
} from '@mnops/core/spi';

/** What a store cannot do that has one current value of each secret, and nothing of the earlier ones. */
export const currentOnly = {
  versionIds: 'none',
  versionIdsReused: true,
  maxVersions: 1,
  stages: 'none',
  atomicPromote: 'none',
  compareAndSet: 'none',
  repeatableWrites: 'none',
  keyValueMap: 'none',
  softDelete: 'none',
  annotations: false,
} as const;

/** What a store can do that others fill and that has current values only. */
export const readOnlyCapabilities: SecretCapabilities = {
  ...currentOnly,
  write: false,
  list: true,
  binary: 'none',
  emptyValue: true,
  maxValueBytes: 1024 * 1024,
  serverExpiry: 'none',
  tags: 'none',
  batchGet: 0,
  watch: 'none',
  leases: false,
  durable: true,
  readAfterWrite: 'strong',
  serverAudit: false,
  propagationMs: 0,
};

/**
 * Makes version ids from values: the same for the same value, while nobody can try values against an id, because the key
 * lives in this process only.
 */
export function valueVersions(): (value: Uint8Array) => string {
  const key = randomBytes(32);
  return (value) => createHmac('sha256', key).update(value).digest('hex').slice(0, 16);
}

/** Whether the current version is the one that is asked for. */
export function isCurrent(version: string, at: SecretSelector): boolean {
  return (at.stage ?? 'current') === 'current' && (at.version ?? version) === version;
}

/** A current value as a record; without a version when the value cannot be read. */
export function currentRecord(path: string, version: string | undefined, atMs: number): SecretRecord {
  return {
    path,
    ...(version === undefined ? {} : { version }),
    stages: version === undefined ? {} : { current: version },
    createdAtMs: atMs,
    updatedAtMs: atMs,
    tags: {},
    annotations: {},
  };
}

/** A current value as it is handed out. */
export function currentValue(value: Uint8Array, version: string, atMs: number): StoredSecret {
  return { value, version, stages: ['current'], createdAtMs: atMs };
}

/** The only version of a secret. */
export function currentVersion({ version, createdAtMs }: SecretRecord): SecretVersionRecord[] {
  return version === undefined ? [] : [{ version, stages: ['current'], state: 'enabled', createdAtMs }];
}

/** The writing half of a store that is only read: refused before anything happens. */
export function refusedWrites(id: string, remedy: string): Pick<SecretProvider, 'put' | 'delete'> {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new UnsupportedError(`The provider ${id} is only read.`, { provider: id, remedy, details: { ability: 'write' } }),
    );
  return { put: refuse, delete: refuse };
}
