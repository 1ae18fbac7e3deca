import { coreError } from '@mnops/core';
import type { Call, SecretRecord, SecretSelector, SecretVersionRecord, StoredSecret } from '@mnops/core/spi';
import { objectAt } from './answers.js';
import {
  expiryOf,
  type KvMetadata,
  type KvPlace,
  readData,
  readMetadata,
  storedFrom,
  versionNumber,
} from './kv-answers.js';
import { factsAt, stagesAt, stagesOn } from './stages.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';
import { wirePath } from './wire-path.js';

/** Secrets that one list may find, and folders that it may open. */
const maxListed = 100_000;
/** Secrets whose metadata is read at the same time. */
const describedAtOnce = 8;

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
  const paths: string[] = [];
  const folders = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await namesIn(place, folder, call)) {
      const path = `${folder}${name}`;
      const inside = path.startsWith(prefix) || (name.endsWith('/') && prefix.startsWith(path));
      if (inside) (name.endsWith('/') ? folders : paths).push(path);
    }
    if (paths.length + folders.length > maxListed) throw tooMany();
  }
  paths.sort();
  for (let at = 0; at < paths.length; at += describedAtOnce) {
    const some = paths.slice(at, at + describedAtOnce);
    for (const record of await Promise.all(some.map((path) => describeSecret(place, path, call)))) {
      if (record !== undefined) yield record;
    }
  }
}

async function namesIn(place: KvPlace, folder: string, call: Call): Promise<readonly string[]> {
  const operation = 'list';
  const below = folder === '' ? '' : `${wirePath(folder.slice(0, -1))}/`;
  const answer = await place.connection.request(
    // Some proxies do not let the verb LIST through; this is the same.
    { method: 'GET', path: `${place.mount}/metadata/${below}?list=true`, operation, repeatable: true },
    call,
  );
  if (answer.status === 404) return [];
  if (answer.status !== 200) throw vaultError(answer.status, operation);
  const keys = objectAt(answer.body, 'data')?.['keys'];
  if (!Array.isArray(keys)) throw answerInvalid(operation, 'data.keys');
  // Names that only another tool can have made cannot be named here either.
  return keys.filter(
    (key): key is string => typeof key === 'string' && key !== '' && !key.includes('..') && key !== '/',
  );
}

function tooMany(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `${providerId}: the list has over ${maxListed} secrets.`, {
    provider: providerId,
    operation: 'list',
    details: { maxListed },
    remedy: 'List a narrower prefix.',
  });
}
