import type { SecretProvider, SecretRecord, SecretVersionRecord } from '@mnops/core/spi';
import { readGrace } from '../rotation/grace.js';
import type { SecretMetadata, SecretVersion } from '../secret-operations.js';

/** A provider's record in the terms of users: dates, and no facts of the host. */
export function toMetadata(provider: SecretProvider, record: SecretRecord): SecretMetadata {
  const { path, version, stages, expiresAtMs, deletedAtMs, contentType, tags } = record;
  const grace = readGrace(record.annotations);
  return {
    path,
    provider: provider.id,
    ...(version === undefined ? {} : { version }),
    stages: { ...stages },
    createdAt: new Date(record.createdAtMs),
    updatedAt: new Date(record.updatedAtMs),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs) }),
    ...(deletedAtMs === undefined ? {} : { deletedAt: new Date(deletedAtMs) }),
    ...(contentType === undefined ? {} : { contentType }),
    tags: { ...tags },
    emulated: emulatedBy(provider),
    ...(grace === undefined
      ? {}
      : {
          rotation: {
            graceVersion: grace.version,
            ...(Number.isFinite(grace.untilMs) ? { revokeAt: new Date(grace.untilMs) } : {}),
          },
        }),
  };
}

/** A provider's version in the terms of users. */
export function toVersion({ version, stages, state, createdAtMs, expiresAtMs }: SecretVersionRecord): SecretVersion {
  return {
    version,
    stages,
    state,
    createdAt: new Date(createdAtMs),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs) }),
  };
}

function emulatedBy({ capabilities }: SecretProvider): string[] {
  return Object.entries(capabilities).flatMap(([name, ability]) => (ability === 'emulated' ? [name] : []));
}
