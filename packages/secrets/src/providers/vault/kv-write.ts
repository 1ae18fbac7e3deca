import { coreError } from '@mnops/core';
import type {
  Call,
  SecretAnnotation,
  SecretDeleteOptions,
  SecretPutOptions,
  SecretVersionRecord,
} from '@mnops/core/spi';
import { firstError, objectAt, timeOf } from './answers.js';
import { type Claim, factNames, factText, tagChanges, tokenKeyOf, type VersionFacts, withinBounds } from './facts.js';
import {
  expiryOf,
  type KvMetadata,
  type KvPlace,
  kvPath,
  mustRead,
  readData,
  readMetadata,
  storedFrom,
  versionNumber,
} from './kv-answers.js';
import { factsAt, moveStage, stagesOn } from './stages.js';
import { type EncodedValue, encodeValue } from './value-codec.js';
import { answerInvalid, providerId, vaultError } from './vault-error.js';

const putTries = 5;

type Changes = Readonly<Record<string, string | null>>;

/** One put, prepared. */
interface Write {
  readonly path: string;
  readonly value: Uint8Array;
  readonly encoded: EncodedValue;
  readonly options: SecretPutOptions;
  readonly tokenKey: string;
  readonly facts: VersionFacts;
}

/**
 * Stores a version: its facts are announced in the metadata, the data is written as a compare-and-set on the newest
 * version, then the facts become those of the version. Whoever reads in between finds the announcement.
 */
export async function putSecret(
  place: KvPlace,
  path: string,
  value: Uint8Array,
  options: SecretPutOptions,
  call: Call,
): Promise<SecretVersionRecord> {
  const { token, stages, expiresAtMs, contentType } = options;
  const encoded = encodeValue(value, contentType);
  const plain = stages.length === 1 && stages[0] === 'current';
  const tokenKey = tokenKeyOf(token);
  const facts = { t: contentType, e: expiresAtMs, k: tokenKey, o: encoded.order, s: plain ? undefined : stages };
  const write: Write = { path, value, encoded, options, tokenKey, facts };
  for (let attempt = 1; ; attempt += 1) {
    const metadata = await readMetadata(place, path, call);
    const known = metadata === undefined ? undefined : await earlier(place, write, metadata, call);
    if (known !== undefined) return known;
    assertCondition(path, options.ifVersion, metadata);
    const version = (metadata?.latest ?? 0) + 1;
    await announce(place, write, version, metadata, call);
    const createdAtMs = await writeData(place, write, version - 1, call);
    if (createdAtMs !== undefined) return await confirm(place, write, version, createdAtMs, metadata, call);
    await patch(place, path, { [factNames.claim(tokenKey)]: null }, call);
    // Somebody was faster. Without a condition that is no reason to give up.
    if (options.ifVersion !== undefined || attempt >= putTries) throw conflict(path, 'it was written meanwhile');
  }
}

/** The version that an earlier try with the same token stored, if it did. */
async function earlier(
  place: KvPlace,
  write: Write,
  metadata: KvMetadata,
  call: Call,
): Promise<SecretVersionRecord | undefined> {
  const { path, tokenKey } = write;
  const done = [...metadata.facts.versions].find(([, { k }]) => k === tokenKey)?.[0];
  if (done !== undefined) return recordOf(metadata, done);
  const claim = metadata.facts.claims.get(tokenKey);
  const claimed = metadata.versions.find(({ version }) => version === claim?.v);
  if (claim === undefined || claimed === undefined || metadata.facts.versions.has(claim.v)) return undefined;
  // The answer to the earlier try was lost; whether it took effect shows in what is stored.
  const read = await readData(place, path, claim.v, call);
  if (read?.data === undefined) return undefined;
  const stored = storedFrom(path, { ...read, facts: metadata.facts }, metadata.stages);
  if (!Buffer.from(stored.value).equals(write.value)) return undefined;
  return await confirm(place, write, claim.v, claimed.createdAtMs, metadata, call);
}

function recordOf(metadata: KvMetadata, version: number): SecretVersionRecord | undefined {
  const known = metadata.versions.find((each) => each.version === version);
  if (known === undefined) return undefined;
  const { state, createdAtMs } = known;
  const expiresAtMs = expiryOf(factsAt(metadata.facts, version).e, known);
  return { version: String(version), stages: stagesOn(metadata.stages, version), state, createdAtMs, expiresAtMs };
}

function assertCondition(path: string, ifVersion: string | null | undefined, metadata: KvMetadata | undefined): void {
  if (ifVersion === undefined) return;
  const exists = metadata !== undefined && metadata.versions.length > 0;
  const current = metadata?.stages.get('current');
  if (ifVersion === null && exists) throw conflict(path, 'it exists', current);
  if (ifVersion !== null && String(current) !== ifVersion) throw conflict(path, 'another version is current', current);
}

async function announce(
  place: KvPlace,
  { path, tokenKey, facts, options }: Write,
  version: number,
  metadata: KvMetadata | undefined,
  call: Call,
): Promise<void> {
  if (options.tags !== undefined) tagChanges(metadata?.facts.tags ?? {}, options.tags);
  const name = factNames.claim(tokenKey);
  const claim: Claim = { ...facts, v: version };
  const changes: Record<string, string | null> = { [name]: factText(name, claim) };
  if (metadata !== undefined) {
    await patch(place, path, withinBounds(metadata.custom, changes, keptBy(metadata)), call);
    return;
  }
  await metadataRequest(place, 'POST', path, changes, call);
}

/** @returns When the version was created, epoch milliseconds; `undefined` when the newest version is another one. */
async function writeData(place: KvPlace, write: Write, cas: number, call: Call): Promise<number | undefined> {
  const operation = 'write';
  const body = { options: { cas }, data: write.encoded.data };
  const path = kvPath(place, 'data', write.path);
  // A repetition is refused by the compare-and-set, so it cannot store twice.
  const answer = await place.connection.request({ method: 'POST', path, body, operation, repeatable: true }, call);
  if (answer.status === 200) {
    const createdAtMs = timeOf(objectAt(answer.body, 'data')?.['created_time']);
    if (createdAtMs === undefined) throw answerInvalid(operation, 'data.created_time');
    return createdAtMs;
  }
  const reason = firstError(answer);
  if (answer.status === 400 && reason.startsWith('check-and-set parameter')) return undefined;
  if (answer.status === 400 && reason.startsWith('Upgrading from non-versioned')) throw vaultError(503, operation);
  throw vaultError(answer.status, operation);
}

/** Makes the facts of a write those of its version, and removes what is out of date. */
async function confirm(
  place: KvPlace,
  write: Write,
  version: number,
  createdAtMs: number,
  metadata: KvMetadata | undefined,
  call: Call,
): Promise<SecretVersionRecord> {
  const { path, tokenKey, facts, options } = write;
  const name = factNames.version(version);
  const changes: Record<string, string | null> = { [name]: factText(name, facts), [factNames.claim(tokenKey)]: null };
  for (const [key, claim] of metadata?.facts.claims ?? []) {
    if (claim.v <= version) changes[factNames.claim(key)] = null;
  }
  if (options.tags !== undefined) Object.assign(changes, tagChanges(metadata?.facts.tags ?? {}, options.tags));
  if (metadata !== undefined && metadata.facts.deleted.length > 0) changes[factNames.deleted] = null;
  const bounded = metadata === undefined ? changes : withinBounds(metadata.custom, changes, keptBy(metadata));
  if (metadata !== undefined && dropsStages(metadata, bounded)) {
    bounded[factNames.stages] = pointersText(metadata.latest, metadata.stages);
  }
  await patch(place, path, bounded, call);
  const stages = new Map(metadata?.stages);
  for (const stage of options.stages) moveStage(stages, stage, version);
  return {
    version: String(version),
    stages: stagesOn(stages, version),
    state: 'enabled',
    createdAtMs,
    expiresAtMs: options.expiresAtMs,
  };
}

/** Whether facts are dropped that say how a version moved stages; then the pointers must say it. */
function dropsStages({ facts }: KvMetadata, changes: Changes): boolean {
  return [...facts.versions].some(
    ([version, { s }]) =>
      s !== undefined && version > facts.pointers.seen && changes[factNames.version(version)] === null,
  );
}

function keptBy({ versions }: KvMetadata): ReadonlySet<number> {
  return new Set(versions.map(({ version }) => version));
}

/** Changes facts of the secret and of its current version. */
export async function annotateSecret(
  place: KvPlace,
  path: string,
  { expiresAtMs, annotations = {} }: SecretAnnotation,
  call: Call,
): Promise<void> {
  const metadata = await mustRead(place, path, call);
  const changes: Record<string, string | null> = {};
  for (const [note, text] of Object.entries(annotations)) {
    const name = factNames.note(note);
    changes[name] = text === null ? null : factText(name, { n: text });
  }
  const current = metadata.stages.get('current');
  if (expiresAtMs !== undefined && current !== undefined) {
    const name = factNames.version(current);
    changes[name] = factText(name, { ...factsAt(metadata.facts, current), e: expiresAtMs ?? undefined });
  }
  if (Object.keys(changes).length === 0) return;
  await patch(place, path, withinBounds(metadata.custom, changes, keptBy(metadata)), call);
}

/** Moves a stage after a look at where it is. */
export async function moveSecretStage(
  place: KvPlace,
  path: string,
  stage: string,
  { from, to }: { readonly from: string | null; readonly to: string | null },
  call: Call,
): Promise<void> {
  const metadata = await mustRead(place, path, call);
  const held = metadata.stages.get(stage);
  if ((held === undefined ? null : String(held)) !== from)
    throw conflict(path, `its stage ${stage} is elsewhere`, held);
  const stages = new Map(metadata.stages);
  if (to === null) {
    stages.delete(stage);
  } else {
    const target = metadata.versions.find(({ version }) => version === versionNumber(to));
    if (target === undefined) throw noVersion(path, to);
    if (target.state !== 'enabled') {
      const read = { version: target, facts: metadata.facts, data: undefined };
      storedFrom(path, read, metadata.stages);
    }
    moveStage(stages, stage, target.version);
    if (stage === 'current' && stages.get('pending') === target.version) stages.delete('pending');
  }
  const changes = { [factNames.stages]: pointersText(metadata.latest, stages) };
  await patch(place, path, withinBounds(metadata.custom, changes, keptBy(metadata)), call);
}

function pointersText(seen: number, stages: ReadonlyMap<string, number>): string {
  return factText(factNames.stages, { seen, stages: Object.fromEntries(stages) });
}

/** Deletes versions or the whole secret; what is absent is deleted already. */
export async function deleteSecret(
  place: KvPlace,
  path: string,
  { versions, permanent = false }: SecretDeleteOptions,
  call: Call,
): Promise<void> {
  if (versions !== undefined) {
    const numbers = versions.map(versionNumber).filter((version) => version !== undefined);
    if (numbers.length > 0) await changeVersions(place, permanent ? 'destroy' : 'delete', path, numbers, call);
    return;
  }
  const metadata = await readMetadata(place, path, call);
  if (metadata === undefined || metadata.versions.length === 0) return;
  const all = metadata.versions.filter(({ state }) => state !== 'destroyed');
  if (permanent) {
    await changeVersions(
      place,
      'destroy',
      path,
      all.map(({ version }) => version),
      call,
    );
    // The numbering goes on, so that no version id is ever used for another value.
    await metadataRequest(place, 'POST', path, { [factNames.gone]: String(metadata.latest) }, call);
    return;
  }
  const enabled = all.filter(({ state }) => state === 'enabled').map(({ version }) => version);
  if (enabled.length === 0) return;
  const mark = enabled.slice(-80).join(',');
  const changes = withinBounds(metadata.custom, { [factNames.deleted]: mark }, keptBy(metadata));
  await patch(place, path, changes, call);
  await changeVersions(place, 'delete', path, enabled, call);
}

/** Brings back what a delete took away that was not permanent. */
export async function restoreSecret(
  place: KvPlace,
  path: string,
  versions: readonly string[] | undefined,
  call: Call,
): Promise<void> {
  const metadata = await mustRead(place, path, call);
  const { facts, stages } = metadata;
  const known = keptBy(metadata);
  for (const version of versions ?? []) {
    if (!known.has(versionNumber(version) ?? 0)) throw noVersion(path, version);
  }
  const current = stages.get('current');
  const whole = facts.deleted.length > 0 ? facts.deleted : current === undefined ? [] : [current];
  const wanted = versions?.map(Number) ?? whole.filter((version) => known.has(version));
  if (wanted.length > 0) await changeVersions(place, 'undelete', path, wanted, call);
  if (versions === undefined && facts.deleted.length > 0) await patch(place, path, { [factNames.deleted]: null }, call);
}

async function changeVersions(
  place: KvPlace,
  action: 'delete' | 'undelete' | 'destroy',
  path: string,
  versions: readonly number[],
  call: Call,
): Promise<void> {
  const { status } = await place.connection.request(
    {
      method: action === 'destroy' ? 'PUT' : 'POST',
      path: kvPath(place, action, path),
      body: { versions },
      operation: action,
      repeatable: true,
    },
    call,
  );
  if (status !== 200 && status !== 204 && status !== 404) throw vaultError(status, action);
}

async function patch(place: KvPlace, path: string, changes: Changes, call: Call): Promise<void> {
  await metadataRequest(place, 'PATCH', path, changes, call);
}

async function metadataRequest(
  place: KvPlace,
  method: 'POST' | 'PATCH',
  path: string,
  custom: Changes,
  call: Call,
): Promise<void> {
  const operation = 'write metadata';
  const body = { custom_metadata: custom };
  const request = { method, path: kvPath(place, 'metadata', path), body, operation, repeatable: true } as const;
  const { status } = await place.connection.request(request, call);
  if (status !== 200 && status !== 204) throw vaultError(status, operation);
}

function conflict(path: string, why: string, current?: number | undefined): Error {
  return coreError('MNOPS_CORE_CONFLICT', `The secret ${path} was not written: ${why}.`, {
    provider: providerId,
    details: { path, ...(current === undefined ? {} : { currentVersion: String(current) }) },
  });
}

function noVersion(path: string, version: string): Error {
  return coreError('MNOPS_CORE_NOT_FOUND', `The secret ${path} has no version ${version}.`, {
    provider: providerId,
    details: { path, version },
  });
}
