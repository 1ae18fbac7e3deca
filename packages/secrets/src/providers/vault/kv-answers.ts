import { coreError } from '@mnops/core';
import type { Call, SecretVersionState, StoredSecret } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';
import { objectAt, timeOf, type VaultAnswer } from './answers.js';
import type { VaultConnection } from './connection.js';
import { readFacts, type SecretFacts } from './facts.js';
import { factsAt, stagesAt, stagesOn } from './stages.js';
import { decodeValue } from './value-codec.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';
import { wirePath } from './wire-path.js';

/** One mount of KV version 2. */
export interface KvPlace {
  readonly connection: VaultConnection;
  /** As on the wire. */
  readonly mount: string;
  /** Wall clock, for deletions that Vault has planned. */
  now(): number;
}

/** One version in the metadata of a secret. */
export interface KvVersion {
  readonly version: number;
  readonly state: SecretVersionState;
  readonly createdAtMs: number;
  /** When Vault deletes it, or deleted it. */
  readonly deletionMs: number | undefined;
}

/** Metadata of one secret. */
export interface KvMetadata {
  /** Number of the newest version, 0 where there was none yet. */
  readonly latest: number;
  /** Versions that belong to the secret as it is now, oldest first. */
  readonly versions: readonly KvVersion[];
  readonly updatedAtMs: number;
  readonly custom: Readonly<Record<string, unknown>>;
  readonly facts: SecretFacts;
  readonly stages: ReadonlyMap<string, number>;
}

/** Address of a secret below one of the parts of a mount. */
export function kvPath(place: KvPlace, part: string, path: string): string {
  return `${place.mount}/${part}/${wirePath(path)}`;
}

/** Metadata of a secret; `undefined` where Vault has none. Also of one that was deleted for good: it has no versions then. */
export async function readMetadata(place: KvPlace, path: string, call: Call): Promise<KvMetadata | undefined> {
  const operation = 'read metadata';
  const answer = await place.connection.request(
    { method: 'GET', path: kvPath(place, 'metadata', path), operation, repeatable: true },
    call,
  );
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw vaultError(answer.status, operation);
  const data = objectAt(answer.body, 'data');
  const latest = data?.['current_version'];
  const listed = objectAt(data, 'versions');
  if (data === undefined || typeof latest !== 'number') throw answerInvalid(operation, 'data.current_version');
  if (listed === undefined) throw answerInvalid(operation, 'data.versions');
  const custom = objectAt(data, 'custom_metadata') ?? {};
  const facts = readFacts(custom);
  const versions = Object.keys(listed)
    .map((name) => versionOf(Number(name), objectAt(listed, name), place.now()))
    .filter((version): version is KvVersion => version !== undefined && version.version > facts.gone)
    .sort((a, b) => a.version - b.version);
  return {
    latest,
    versions,
    updatedAtMs: timeOf(data['updated_time']) ?? versions.at(-1)?.createdAtMs ?? 0,
    custom,
    facts,
    stages: stagesAt(facts, latest),
  };
}

/** The metadata of a secret that must exist. */
export async function mustRead(place: KvPlace, path: string, call: Call): Promise<KvMetadata> {
  const metadata = await readMetadata(place, path, call);
  if (metadata !== undefined && metadata.versions.length > 0) return metadata;
  throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}.`, { provider: providerId, details: { path } });
}

function versionOf(
  version: number,
  data: Readonly<Record<string, unknown>> | undefined,
  now: number,
): KvVersion | undefined {
  const createdAtMs = timeOf(data?.['created_time']);
  if (createdAtMs === undefined || !Number.isSafeInteger(version)) return undefined;
  const deletionMs = timeOf(data?.['deletion_time']);
  return { version, state: stateOf(data?.['destroyed'] === true, deletionMs, now), createdAtMs, deletionMs };
}

/** A time of deletion that is still to come is a plan of Vault's (`delete_version_after`). */
function stateOf(destroyed: boolean, deletionMs: number | undefined, now: number): SecretVersionState {
  if (destroyed) return 'destroyed';
  return deletionMs !== undefined && deletionMs <= now ? 'deleted' : 'enabled';
}

/** Expiry of a version: the one that was given, or the end that Vault has planned, whichever is first. */
export function expiryOf(
  given: number | undefined,
  version: Pick<KvVersion, 'state' | 'deletionMs'>,
): number | undefined {
  const planned = version.state === 'enabled' ? version.deletionMs : undefined;
  if (given === undefined || planned === undefined) return given ?? planned;
  return Math.min(given, planned);
}

/** An answer to a read of data: the version that it is about, with what is known of its secret. */
export interface KvRead {
  readonly version: KvVersion;
  readonly facts: SecretFacts;
  /** `undefined` when the version is deleted or destroyed. */
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

/** One version's data, the newest without `version`; `undefined` when Vault has none. */
export async function readData(
  place: KvPlace,
  path: string,
  version: number | undefined,
  call: Call,
): Promise<KvRead | undefined> {
  const query = version === undefined ? '' : `?version=${version}`;
  const request = { method: 'GET', path: `${kvPath(place, 'data', path)}${query}` } as const;
  const operation = 'read';
  const answer = await place.connection.request({ ...request, operation, repeatable: true }, call);
  return readOf(answer, place.now());
}

function readOf(answer: VaultAnswer, now: number): KvRead | undefined {
  const operation = 'read';
  const { status, body } = answer;
  if (status !== 200 && status !== 404) throw vaultError(status, operation);
  const metadata = objectAt(body, 'data', 'metadata');
  if (metadata === undefined) {
    // A missing key; a deleted or destroyed version has metadata in its 404.
    if (status === 404) return undefined;
    throw answerInvalid(operation, 'data.metadata');
  }
  const version = metadata['version'];
  const found = typeof version === 'number' ? versionOf(version, metadata, now) : undefined;
  if (found === undefined) throw answerInvalid(operation, 'data.metadata.version');
  const data = objectAt(body, 'data', 'data');
  if (data === undefined && status === 200) throw answerInvalid(operation, 'data.data');
  return { version: found, facts: readFacts(objectAt(metadata, 'custom_metadata')), data };
}

/** The stored secret in a read; refuses a version that is deleted or destroyed. */
export function storedFrom(path: string, read: KvRead, stages: ReadonlyMap<string, number>): StoredSecret {
  const { version, facts, data } = read;
  if (data === undefined) throw unavailable(path, version);
  const { t, e, o } = factsAt(facts, version.version);
  const { value, contentType } = decodeValue(data, o);
  return {
    value,
    version: String(version.version),
    stages: stagesOn(stages, version.version),
    createdAtMs: version.createdAtMs,
    expiresAtMs: expiryOf(e, version),
    contentType: t ?? contentType,
  };
}

function unavailable(path: string, { version, state }: KvVersion): Error {
  const shown = state === 'destroyed' ? 'destroyed' : 'deleted';
  return secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `Version ${version} of the secret ${path} is ${shown}.`, {
    provider: providerId,
    details: { path, version: String(version), state: shown },
  });
}

/** The number that a version's name stands for; `01` or `1e0` are no versions. */
export function versionNumber(version: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(version) ? Number(version) : undefined;
}
