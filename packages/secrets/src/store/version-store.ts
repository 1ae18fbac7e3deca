import { coreError } from '@mnops/core';
import type {
  SecretCapabilities,
  SecretPutOptions,
  SecretRecord,
  SecretSelector,
  SecretStage,
  SecretVersionRecord,
  SecretVersionState,
} from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import type {
  AnnotateMutation,
  DeleteMutation,
  Mutation,
  PutMutation,
  RestoreMutation,
  StageMutation,
  VersionSummary,
} from './mutation.js';

/** Versions kept per secret; older ones that no stage points at are destroyed. */
const maxVersions = 100;

/** What a back end on a `VersionStore` can do. */
export const versionStoreCapabilities: SecretCapabilities = {
  write: true,
  list: true,
  versionIds: 'integer',
  maxVersions,
  stages: 'native',
  atomicPromote: 'native',
  compareAndSet: 'version',
  repeatableWrites: 'native',
  binary: 'native',
  keyValueMap: 'none',
  emptyValue: true,
  maxValueBytes: 4 * 1024 * 1024,
  softDelete: 'version',
  serverExpiry: 'none',
  tags: 'native',
  annotations: true,
  batchGet: 0,
  watch: 'native',
  leases: false,
  durable: true,
  readAfterWrite: 'strong',
  serverAudit: false,
  propagationMs: 0,
};

/** One version in memory. `V` is the value itself, or its envelope. */
export interface StoredVersion<V> {
  readonly version: number;
  readonly token: string;
  readonly createdAtMs: number;
  readonly contentType?: string | undefined;
  expiresAtMs?: number | undefined;
  state: SecretVersionState;
  value: V | undefined;
}

interface StoredEntry<V> {
  readonly path: string;
  readonly versions: Map<number, StoredVersion<V>>;
  readonly stages: Map<SecretStage, number>;
  createdAtMs: number;
  updatedAtMs: number;
  deletedAtMs: number | undefined;
  lastVersion: number;
  tags: Readonly<Record<string, string>>;
  annotations: Record<string, string>;
}

/**
 * Secrets with versions and stages as a state machine: `plan…` checks a change against the state and gives it as data,
 * `apply` makes it. A vault writes the data in between. `apply` takes any order of known changes without failing, because
 * records before it may have been lost.
 */
export class VersionStore<V> {
  readonly #secrets = new Map<string, StoredEntry<V>>();
  /** Last version number of secrets that are gone: a number is never given twice. */
  readonly #gone = new Map<string, number>();

  planPut(path: string, options: SecretPutOptions, atMs: number, skip = 0): PutMutation | SecretVersionRecord {
    const entry = this.#secrets.get(path);
    for (const stored of entry?.versions.values() ?? []) {
      if (stored.token === options.token) return this.#versionRecord(entry as StoredEntry<V>, stored);
    }
    const current = entry?.stages.get('current');
    if (options.ifVersion === null && entry !== undefined) {
      const state = entry.deletedAtMs === undefined ? 'exists' : 'is deleted, but can be restored';
      throw conflict(path, `it ${state}`, undefined);
    }
    if (typeof options.ifVersion === 'string' && String(current ?? '') !== options.ifVersion) {
      throw conflict(path, `its current version is not ${options.ifVersion}`, current);
    }
    const last = entry?.lastVersion ?? this.#gone.get(path) ?? 0;
    const { token, stages, expiresAtMs, contentType, tags } = options;
    return { kind: 'put', path, version: last + 1 + skip, token, stages, atMs, expiresAtMs, contentType, tags };
  }

  planStage(path: string, stage: SecretStage, from: string | null, to: string | null, atMs: number): StageMutation {
    const entry = this.#existing(path);
    const held = entry.stages.get(stage);
    if ((held === undefined ? null : String(held)) !== from) {
      throw conflict(path, `its stage ${stage} is not on version ${from ?? 'none'}`, held);
    }
    if (to !== null) this.#assertReadable(path, this.#version(entry, to), to);
    return { kind: 'stage', path, stage, from, to, atMs };
  }

  /** Rejects with `MNOPS_CORE_NOT_FOUND` unless the secret is there and, where versions are given, each of them. */
  assertExists(path: string, versions: readonly string[] = []): void {
    const entry = this.#existing(path);
    for (const version of versions) this.#version(entry, version);
  }

  has(path: string): boolean {
    return this.#secrets.has(path);
  }

  /** The version asked for, `undefined` when absent; rejects when it is deleted or destroyed. */
  find(path: string, at: SecretSelector): StoredVersion<V> | undefined {
    const entry = this.#secrets.get(path);
    if (entry === undefined) return undefined;
    const staged = entry.stages.get(at.stage ?? 'current');
    if (at.version !== undefined && at.stage !== undefined && String(staged ?? '') !== at.version) return undefined;
    const number = at.version === undefined ? staged : toNumber(at.version);
    const stored = number === undefined ? undefined : entry.versions.get(number);
    if (stored === undefined) return undefined;
    if (entry.deletedAtMs !== undefined) throw unavailable(path, String(stored.version), 'deleted');
    this.#assertReadable(path, stored, String(stored.version));
    return stored;
  }

  stagesOf(path: string, version: number): SecretStage[] {
    const stages: SecretStage[] = [];
    for (const [stage, at] of this.#secrets.get(path)?.stages ?? []) if (at === version) stages.push(stage);
    return stages.sort();
  }

  describe(path: string): SecretRecord | undefined {
    const entry = this.#secrets.get(path);
    if (entry === undefined) return undefined;
    const current = entry.stages.get('current');
    const stored = current === undefined ? undefined : entry.versions.get(current);
    return {
      path,
      version: current === undefined ? undefined : String(current),
      stages: stagesRecord(entry.stages),
      createdAtMs: entry.createdAtMs,
      updatedAtMs: entry.updatedAtMs,
      expiresAtMs: stored?.expiresAtMs,
      deletedAtMs: entry.deletedAtMs,
      contentType: stored?.contentType,
      tags: { ...entry.tags },
      annotations: { ...entry.annotations },
    };
  }

  /** Newest first. */
  versions(path: string): SecretVersionRecord[] {
    const entry = this.#secrets.get(path);
    if (entry === undefined) return [];
    const all = [...entry.versions.values()].sort((a, b) => b.version - a.version);
    return all.map((stored) => this.#versionRecord(entry, stored));
  }

  /** Paths that begin with a prefix, in order of their code units. */
  paths(prefix: string): string[] {
    return [...this.#secrets.keys()].filter((path) => path.startsWith(prefix)).sort();
  }

  apply(mutation: Mutation, value?: V): void {
    if (mutation.kind === 'put') this.#applyPut(mutation, value);
    else if (mutation.kind === 'version') this.#applyVersion(mutation, value);
    else if (mutation.kind === 'secret') this.#applySecret(mutation);
    else this.#applyChange(mutation);
  }

  /** The whole state as changes that make it again, with the values beside them. */
  *summary(): Generator<{ readonly mutation: Mutation; readonly value?: V | undefined }> {
    for (const [path, lastVersion] of this.#gone) yield { mutation: { kind: 'secret', path, lastVersion } };
    for (const { path, versions, stages, ...facts } of this.#secrets.values()) {
      yield { mutation: { kind: 'secret', path, ...facts, stages: stagesRecord(stages) } };
      for (const { value, ...stored } of versions.values()) {
        yield { mutation: { kind: 'version', path, ...stored }, value };
      }
    }
  }

  #applyPut(mutation: PutMutation, value: V | undefined): void {
    const { path, version, token, stages, atMs, expiresAtMs, contentType, tags } = mutation;
    const entry = this.#secrets.get(path) ?? this.#newEntry(path, atMs);
    entry.versions.set(version, {
      version,
      token,
      createdAtMs: atMs,
      expiresAtMs,
      contentType,
      state: 'enabled',
      value,
    });
    entry.lastVersion = Math.max(entry.lastVersion, version);
    entry.updatedAtMs = atMs;
    entry.deletedAtMs = undefined;
    if (tags !== undefined) entry.tags = tags;
    for (const stage of stages) moveStage(entry, stage, version);
    this.#prune(entry);
  }

  #applyVersion(mutation: VersionSummary, value: V | undefined): void {
    const { kind: _, path, ...stored } = mutation;
    const entry = this.#secrets.get(path) ?? this.#newEntry(path, stored.createdAtMs);
    entry.versions.set(stored.version, { ...stored, value });
    entry.lastVersion = Math.max(entry.lastVersion, stored.version);
  }

  #applySecret(mutation: Extract<Mutation, { kind: 'secret' }>): void {
    const { path, lastVersion, createdAtMs } = mutation;
    if (createdAtMs === undefined) {
      this.#gone.set(path, lastVersion);
      return;
    }
    const entry = this.#secrets.get(path) ?? this.#newEntry(path, createdAtMs);
    entry.createdAtMs = createdAtMs;
    entry.updatedAtMs = mutation.updatedAtMs ?? createdAtMs;
    entry.deletedAtMs = mutation.deletedAtMs;
    entry.lastVersion = Math.max(entry.lastVersion, lastVersion);
    entry.tags = mutation.tags ?? {};
    entry.annotations = { ...mutation.annotations };
    for (const [stage, version] of Object.entries(mutation.stages ?? {})) entry.stages.set(stage, Number(version));
  }

  #applyChange(mutation: StageMutation | AnnotateMutation | DeleteMutation | RestoreMutation): void {
    const entry = this.#secrets.get(mutation.path);
    if (entry === undefined) return;
    entry.updatedAtMs = mutation.atMs;
    if (mutation.kind === 'stage') this.#applyStage(entry, mutation);
    else if (mutation.kind === 'annotate') this.#applyAnnotation(entry, mutation.expiresAtMs, mutation.annotations);
    else if (mutation.kind === 'delete') this.#applyDelete(entry, mutation.versions, mutation.permanent, mutation.atMs);
    else this.#applyRestore(entry, mutation.versions);
  }

  #applyStage(entry: StoredEntry<V>, { stage, to }: StageMutation): void {
    if (to === null) {
      entry.stages.delete(stage);
      return;
    }
    const version = Number(to);
    // The version's own record may have been lost to damage.
    if (!entry.versions.has(version)) return;
    moveStage(entry, stage, version);
    if (stage === 'current' && entry.stages.get('pending') === version) entry.stages.delete('pending');
  }

  #applyAnnotation(
    entry: StoredEntry<V>,
    expiresAtMs: number | null | undefined,
    annotations: Readonly<Record<string, string | null>> = {},
  ): void {
    const current = entry.versions.get(entry.stages.get('current') ?? 0);
    if (expiresAtMs !== undefined && current !== undefined) current.expiresAtMs = expiresAtMs ?? undefined;
    for (const [name, value] of Object.entries(annotations)) {
      if (value === null) delete entry.annotations[name];
      else entry.annotations[name] = value;
    }
  }

  #applyDelete(entry: StoredEntry<V>, versions: readonly string[] | undefined, permanent: boolean, atMs: number): void {
    if (versions === undefined) {
      entry.deletedAtMs ??= atMs;
      if (!permanent) return;
      this.#secrets.delete(entry.path);
      this.#gone.set(entry.path, entry.lastVersion);
      return;
    }
    for (const version of versions) {
      const stored = entry.versions.get(Number(version));
      if (stored === undefined || stored.state === 'destroyed') continue;
      stored.state = permanent ? 'destroyed' : 'deleted';
      if (permanent) stored.value = undefined;
    }
  }

  #applyRestore(entry: StoredEntry<V>, versions: readonly string[] | undefined): void {
    entry.deletedAtMs = undefined;
    for (const version of versions ?? []) {
      const stored = entry.versions.get(Number(version));
      if (stored?.state === 'deleted') stored.state = 'enabled';
    }
  }

  #newEntry(path: string, atMs: number): StoredEntry<V> {
    const entry: StoredEntry<V> = {
      path,
      versions: new Map(),
      stages: new Map(),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      deletedAtMs: undefined,
      lastVersion: this.#gone.get(path) ?? 0,
      tags: {},
      annotations: {},
    };
    this.#gone.delete(path);
    this.#secrets.set(path, entry);
    return entry;
  }

  #prune(entry: StoredEntry<V>): void {
    if (entry.versions.size <= maxVersions) return;
    const staged = new Set(entry.stages.values());
    for (const version of [...entry.versions.keys()].sort((a, b) => a - b)) {
      if (entry.versions.size <= maxVersions) return;
      if (!staged.has(version)) entry.versions.delete(version);
    }
  }

  #existing(path: string): StoredEntry<V> {
    const entry = this.#secrets.get(path);
    if (entry === undefined)
      throw coreError('MNOPS_CORE_NOT_FOUND', `There is no secret ${path}.`, { details: { path } });
    return entry;
  }

  #version(entry: StoredEntry<V>, version: string): StoredVersion<V> {
    const stored = entry.versions.get(toNumber(version) ?? 0);
    if (stored !== undefined) return stored;
    throw coreError('MNOPS_CORE_NOT_FOUND', `The secret ${entry.path} has no version ${version}.`, {
      details: { path: entry.path, version },
    });
  }

  #assertReadable(path: string, stored: StoredVersion<V>, version: string): void {
    if (stored.state !== 'enabled') throw unavailable(path, version, stored.state);
  }

  #versionRecord(entry: StoredEntry<V>, stored: StoredVersion<V>): SecretVersionRecord {
    return {
      version: String(stored.version),
      stages: this.stagesOf(entry.path, stored.version),
      state: entry.deletedAtMs !== undefined && stored.state === 'enabled' ? 'deleted' : stored.state,
      createdAtMs: stored.createdAtMs,
      expiresAtMs: stored.expiresAtMs,
    };
  }
}

function moveStage<V>(entry: StoredEntry<V>, stage: SecretStage, version: number): void {
  const before = entry.stages.get(stage);
  if (before === version) return;
  if (stage === 'current' && before !== undefined) entry.stages.set('previous', before);
  entry.stages.set(stage, version);
}

/** Only the text that a version's number prints as: `01` or `1e0` are no versions. */
function toNumber(version: string): number | undefined {
  return /^[1-9][0-9]{0,14}$/.test(version) ? Number(version) : undefined;
}

function stagesRecord(stages: ReadonlyMap<SecretStage, number>): Record<string, string> {
  const record: Record<string, string> = Object.create(null);
  for (const [stage, version] of stages) record[stage] = String(version);
  return record;
}

function conflict(path: string, why: string, current: number | undefined): Error {
  return coreError('MNOPS_CORE_CONFLICT', `The secret ${path} was not written: ${why}.`, {
    details: { path, ...(current === undefined ? {} : { currentVersion: String(current) }) },
  });
}

function unavailable(path: string, version: string, state: SecretVersionState): Error {
  return secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `Version ${version} of the secret ${path} is ${state}.`, {
    details: { path, version, state },
  });
}
