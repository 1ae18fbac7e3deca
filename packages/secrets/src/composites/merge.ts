import { UnsupportedError } from '@mnops/core';
import type {
  Call,
  SecretCapabilities,
  SecretProvider,
  SecretRecord,
  SecretSelector,
  StoredSecret,
} from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import { currentOnly } from '../store/current-only.js';
import { following, largestBatch, weakest } from './capabilities.js';
import { fieldsOf, objectOf } from './key-values.js';
import type { Member } from './members.js';
import { byPath, closeAll, damageOf, type Members, membersOf, watchAll } from './parts.js';

const unknownVersion = '-';

/**
 * Lays the key-value maps of a path over each other: the fields of each member replace those of the members before it, as
 * a whole. A secret that one member alone has is its value as it is, a map or not.
 *
 * It only reads, and every member must answer. Only the current value exists; its version is made from those of all
 * members (`3+-+7`: the second has none), so that it changes with any of them. The earliest expiry counts.
 *
 * @returns A provider whose `get` rejects with `MNOPS_SECRETS_VALUE_INVALID` when several members have the path and the
 * value of one is no JSON object.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function merge(members: readonly SecretProvider[]): SecretProvider {
  const all = membersOf('merge', members);
  const capabilitiesNow = following(members, capabilitiesOf);
  const capabilities = capabilitiesNow();

  async function describe(path: string, call: Call): Promise<SecretRecord | undefined> {
    return recordOf(await Promise.all(all.map((member) => member.describe(path, call))));
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'merge',
    get capabilities() {
      return capabilitiesNow();
    },
    async open(call) {
      await Promise.all(all.map((member) => member.open(call)));
    },
    close: (call) => closeAll(all, call),
    damage: () => damageOf(all),
    async get(path, at, call) {
      call.signal.throwIfAborted();
      const layers = await Promise.all(all.map((member) => member.get(path, {}, call)));
      const stored = laid(path, all, layers);
      return stored !== undefined && isMeant(stored, at) ? stored : undefined;
    },
    put: () => Promise.reject(readOnly()),
    delete: () => Promise.reject(readOnly()),
    describe,
    async *listVersions(path, call) {
      const record = await describe(path, call);
      if (record?.version === undefined) return;
      yield {
        version: record.version,
        stages: ['current'],
        state: record.deletedAtMs === undefined ? 'enabled' : 'deleted',
        createdAtMs: record.updatedAtMs,
        expiresAtMs: record.expiresAtMs,
      };
    },
    async *list(prefix, call) {
      const lists = await Promise.all(
        all.map(async (member, layer) => (await member.list(prefix, call)).map((record) => ({ ...record, layer }))),
      );
      for (const records of byPath(lists)) {
        const merged = recordOf(all.map((_, at) => records.find(({ layer }) => layer === at)));
        if (merged !== undefined) yield merged;
      }
    },
    ...(capabilities.batchGet === 0 ? {} : { getMany: (paths, call) => getMany(all, paths, call) }),
    ...(capabilities.watch === 'none'
      ? {}
      : {
          watch: (prefix: string, call: Call) =>
            watchAll(
              all.map((member) => ({ member, prefix })),
              call,
            ),
        }),
  };
}

async function getMany(
  all: Members,
  paths: readonly string[],
  call: Call,
): ReturnType<NonNullable<SecretProvider['getMany']>> {
  const answers = await Promise.all(all.map((member) => member.getMany(paths, call)));
  const found = new Map<string, StoredSecret>();
  const failed = new Map<string, Error>();
  const absent: string[] = [];
  for (const path of paths) {
    const failures = answers.flatMap((answer) => answer.failed.get(path) ?? []);
    try {
      if (failures[0] !== undefined) throw failures[0];
      const stored = laid(
        path,
        all,
        answers.map((answer) => answer.found.get(path)),
      );
      if (stored === undefined) absent.push(path);
      else found.set(path, stored);
    } catch (error) {
      failed.set(path, error as Error);
    }
  }
  return { found, absent, failed };
}

/** Several layers as one value; `undefined` when there is none. */
function laid(
  path: string,
  members: readonly Member[],
  layers: readonly (StoredSecret | undefined)[],
): StoredSecret | undefined {
  const present = layers.flatMap((stored) => stored ?? []);
  const [only] = present;
  if (only === undefined) return undefined;
  const version = versionOf(layers.map((stored) => stored?.version));
  if (present.length === 1) return { ...only, version, stages: ['current'] };
  const fields = new Map<string, string>();
  for (const [at, stored] of layers.entries()) {
    if (stored === undefined) continue;
    const own = fieldsOf(stored.value);
    if (own === undefined) throw noMap(path, members[at]?.label ?? 'merge');
    for (const [name, value] of own) fields.set(name, value);
  }
  return {
    value: objectOf(fields),
    version,
    stages: ['current'],
    createdAtMs: latest(present.map(({ createdAtMs }) => createdAtMs)),
    expiresAtMs: earliest(present.map(({ expiresAtMs }) => expiresAtMs)),
    contentType: 'application/json',
  };
}

function recordOf(layers: readonly (SecretRecord | undefined)[]): SecretRecord | undefined {
  const present = layers.flatMap((record) => record ?? []);
  const [first] = present;
  if (first === undefined) return undefined;
  const hasCurrent = present.some(({ version }) => version !== undefined);
  const version = versionOf(layers.map((record) => record?.version));
  const deletedAtMs = latest(present.map((record) => record.deletedAtMs));
  return {
    path: first.path,
    ...(hasCurrent ? { version } : {}),
    stages: hasCurrent ? { current: version } : {},
    createdAtMs: Math.min(...present.map(({ createdAtMs }) => createdAtMs)),
    updatedAtMs: Math.max(...present.map(({ updatedAtMs }) => updatedAtMs)),
    expiresAtMs: earliest(present.map(({ expiresAtMs }) => expiresAtMs)),
    ...(deletedAtMs === undefined ? {} : { deletedAtMs }),
    contentType: present.length === 1 ? first.contentType : 'application/json',
    tags: Object.fromEntries(present.flatMap(({ tags }) => Object.entries(tags))),
    annotations: {},
  };
}

function capabilitiesOf(providers: readonly SecretProvider[]): SecretCapabilities {
  return {
    ...weakest(providers),
    ...currentOnly,
    write: false,
    batchGet: largestBatch(providers),
    leases: false,
  };
}

function isMeant({ version }: StoredSecret, at: SecretSelector): boolean {
  return (at.stage ?? 'current') === 'current' && (at.version ?? version) === version;
}

function versionOf(versions: readonly (string | undefined)[]): string {
  return versions.map((version) => version ?? unknownVersion).join('+');
}

function earliest(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.flatMap((each) => each ?? []);
  return known.length === 0 ? undefined : Math.min(...known);
}

function latest(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.flatMap((each) => each ?? []);
  return known.length === 0 ? undefined : Math.max(...known);
}

function readOnly(): UnsupportedError {
  return new UnsupportedError('What is merged from several providers is only read.', {
    provider: 'merge',
    remedy: 'Write to the member that shall have the value.',
    details: { ability: 'write' },
  });
}

function noMap(path: string, member: string): Error {
  return secretsError(
    'MNOPS_SECRETS_VALUE_INVALID',
    `${member}: the value of ${path} is no JSON object, so it cannot be laid over others.`,
    {
      provider: 'merge',
      remedy: 'Store a JSON object there, or keep the path in one member only.',
      details: { path, member },
    },
  );
}
