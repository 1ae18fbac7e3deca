import type { Call, SecretRecord, SecretSelector, SecretVersionRecord, StoredSecret } from '@mnops/core/spi';
import {
  expiryOf,
  type KvMetadata,
  type KvPlace,
  readData,
  readMetadata,
  storedFrom,
  versionNumber,
} from './kv-answers.js';
import { listPaths } from './kv-list.js';
import { factsAt, stagesAt, stagesOn } from './stages.js';

/** The version asked for. The current one of a secret whose newest version is current costs one request. */
export async function getSecret(
  place: KvPlace,
  path: string,
  { version, stage }: SecretSelector,
  call: Call,
): Promise<StoredSecret | undefined> {
  if (version === undefined && (stage === undefined || stage === 'current')) return await getCurrent(place, path, call);
  const wanted = version === undefined ? undefined : versionNumber(version);
  if (version !== undefined && wanted === undefined) return undefined;
  const metadata = await readMetadata(place, path, call);
  if (metadata === undefined) return undefined;
  const staged = stage === undefined ? undefined : metadata.stages.get(stage);
  if (stage !== undefined && (staged === undefined || (wanted !== undefined && wanted !== staged))) return undefined;
  const target = wanted ?? staged;
  if (target === undefined || !metadata.versions.some((known) => known.version === target)) return undefined;
  const read = await readData(place, path, target, call);
  return read === undefined ? undefined : storedFrom(path, read, metadata.stages);
}

async function getCurrent(place: KvPlace, path: string, call: Call): Promise<StoredSecret | undefined> {
  const newest = await readData(place, path, undefined, call);
  if (newest === undefined) return undefined;
  const { version: latest } = newest.version;
  const stages = stagesAt(newest.facts, latest);
  const current = stages.get('current');
  if (current === undefined) return undefined;
  const read = current === latest ? newest : await readData(place, path, current, call);
  return read === undefined ? undefined : storedFrom(path, read, stages);
}

/** Facts of a secret; `undefined` where there is none. */
export async function describeSecret(place: KvPlace, path: string, call: Call): Promise<SecretRecord | undefined> {
  const metadata = await readMetadata(place, path, call);
  return metadata === undefined ? undefined : recordOf(path, metadata);
}

function recordOf(path: string, metadata: KvMetadata): SecretRecord | undefined {
  const { versions, facts, stages, updatedAtMs } = metadata;
  const [oldest] = versions;
  if (oldest === undefined) return undefined;
  const number = stages.get('current');
  const current = versions.find(({ version }) => version === number);
  const { t, e } = current === undefined ? {} : factsAt(facts, current.version);
  const record: Record<string, string> = Object.create(null);
  for (const [stage, version] of stages) record[stage] = String(version);
  return {
    path,
    version: number === undefined ? undefined : String(number),
    stages: record,
    createdAtMs: oldest.createdAtMs,
    updatedAtMs,
    expiresAtMs: current === undefined ? undefined : expiryOf(e, current),
    deletedAtMs: current?.state === 'deleted' ? current.deletionMs : undefined,
    contentType: t,
    tags: { ...facts.tags },
    annotations: { ...facts.annotations },
  };
}

/** Versions, newest first. */
export async function* versionsOf(
  place: KvPlace,
  path: string,
  call: Call,
): AsyncGenerator<SecretVersionRecord, void, undefined> {
  const metadata = await readMetadata(place, path, call);
  for (const known of [...(metadata?.versions ?? [])].reverse()) {
    const { version, state, createdAtMs } = known;
    yield {
      version: String(version),
      stages: stagesOn(metadata?.stages ?? new Map(), version),
      state,
      createdAtMs,
      expiresAtMs: expiryOf(metadata === undefined ? undefined : factsAt(metadata.facts, version).e, known),
    };
  }
}

/** Secrets below a prefix, sorted by path: one request for each folder and each secret. */
export async function* listSecrets(
  place: KvPlace,
  prefix: string,
  call: Call,
): AsyncGenerator<SecretRecord, void, undefined> {
  yield* listPaths(place, 'metadata/', prefix, (path) => describeSecret(place, path, call), call);
}
