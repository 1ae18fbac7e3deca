import { configError } from '@mnops/core/config';
import type {
  Call,
  Clock,
  SecretProvider,
  SecretPutOptions,
  SecretRecord,
  SecretStage,
  SecretVersionRecord,
} from '@mnops/core/spi';
import { pathOfName, pendingSuffix } from './secret-name.js';
import type { VaultCalls } from './vault-calls.js';
import { decodedValue, encodedValue, tagsOf, type VaultFacts, type VaultSecret } from './vault-secret.js';
import {
  conflict,
  newest,
  notFound,
  pairOf,
  pendingOf,
  previousOf,
  selected,
  stateOf,
  unavailable,
  unsupported,
  type VaultPair,
  versionById,
} from './vault-versions.js';

type Operations = Omit<SecretProvider, 'specVersion' | 'kind' | 'id' | 'capabilities' | 'open' | 'close'>;

const noFacts: VaultFacts = { tags: {}, annotations: {} };

/** The methods of the provider over the calls of the vault. */
export function vaultOperations(calls: VaultCalls, clock: Pick<Clock, 'now'>): Operations {
  async function put(path: string, bytes: Uint8Array, how: SecretPutOptions, call: Call): Promise<SecretVersionRecord> {
    call.signal.throwIfAborted();
    if (how.ifVersion !== undefined) throw unsupported('conditional writes');
    const stage = onlyStage(how.stages);
    if (bytes.length === 0) throw emptyValue();
    const pair = pairOf(path);
    const { expiresAtMs, token } = how;
    const encoded = { ...encodedValue(path, bytes, how.contentType), expiresAtMs };
    const before = await newest(calls, stage === 'current' ? pair.name : pair.side, 'put', call);
    if (before?.facts.token === token) return recordOf(before, [stage]);
    const facts = before?.facts ?? noFacts;
    const common = { ...facts, tags: how.tags ?? facts.tags, token, copyOf: undefined, expiryRemoved: undefined };
    const firstMs = facts.firstMs ?? before?.createdAtMs ?? secondsOnly(clock.now());
    const previous = before?.version ?? null;
    const next = stage === 'current' ? { ...common, firstMs, previous } : { ...common, previous: undefined };
    const written = await calls.write(
      stage === 'current' ? pair.name : pair.side,
      { ...encoded, tags: tagsOf(next) },
      'put',
      call,
    );
    return recordOf(written, [stage]);
  }

  /** Promotion is a copy: the version becomes the newest, and says which one it is. */
  async function promote(pair: VaultPair, from: string | null, to: string | null, call: Call): Promise<void> {
    if (to === null) throw unsupported('way to leave a secret without a current version');
    const { current, pending } = await stateOf(calls, pair, 'setStage', call);
    if (current === undefined && pending === undefined) throw notFound(pair.path);
    if ((current?.version ?? null) !== from) throw conflict(pair.path, 'current', from);
    if (to !== current?.version) {
      const source = await versionById(calls, pair, to, 'setStage', call);
      if (source === undefined) throw notFound(pair.path, `version ${to}`);
      const facts = current?.facts ?? noFacts;
      const tags = Object.keys(source.facts.tags).length > 0 ? source.facts.tags : facts.tags;
      const firstMs = facts.firstMs ?? source.createdAtMs;
      const next = {
        ...facts,
        tags,
        firstMs,
        copyOf: to,
        previous: from,
        token: source.facts.token,
        expiryRemoved: undefined,
      };
      const { value, contentType, expiresAtMs } = source;
      await calls.write(pair.name, { value, contentType, expiresAtMs, tags: tagsOf(next) }, 'setStage', call);
    }
    if (pending?.id !== undefined && pending.version === to)
      await calls.change(pair.side, pending.id, { enabled: false }, 'setStage', call);
  }

  async function movePending(pair: VaultPair, from: string | null, to: string | null, call: Call): Promise<void> {
    const { current, pending } = await stateOf(calls, pair, 'setStage', call);
    if (current === undefined && pending === undefined) throw notFound(pair.path);
    if ((pending?.version ?? null) !== from) throw conflict(pair.path, 'pending', from);
    if (to === from) return;
    if (to === null) {
      if (pending?.id !== undefined) await calls.change(pair.side, pending.id, { enabled: false }, 'setStage', call);
      return;
    }
    const source = await versionById(calls, pair, to, 'setStage', call);
    if (source === undefined) throw notFound(pair.path, `version ${to}`);
    const { value, contentType, expiresAtMs, facts } = source;
    const tags = tagsOf({ tags: facts.tags, annotations: {}, copyOf: to });
    await calls.write(pair.side, { value, contentType, expiresAtMs, tags }, 'setStage', call);
  }

  async function movePrevious(pair: VaultPair, from: string | null, to: string | null, call: Call): Promise<void> {
    const current = await newest(calls, pair.name, 'setStage', call);
    if (current?.id === undefined) throw notFound(pair.path);
    const previous = await previousOf(calls, current, 'setStage', call);
    if ((previous ?? null) !== from) throw conflict(pair.path, 'previous', from);
    if (to !== null && (await versionById(calls, pair, to, 'setStage', call)) === undefined)
      throw notFound(pair.path, `version ${to}`);
    await calls.change(pair.name, current.id, { tags: tagsOf({ ...current.facts, previous: to }) }, 'setStage', call);
  }

  /** Versions of the secret and of the one beside it, each id once, newest first. */
  async function versionsOf(pair: VaultPair, operation: string, call: Call): Promise<readonly VaultSecret[]> {
    const own = await calls.versions(pair.name, operation, call);
    const beside = await calls.versions(pair.side, operation, call);
    const known = new Map<string, VaultSecret>();
    // A copy stands for what it was copied from.
    for (const secret of [...own].reverse().concat(beside)) {
      const other = known.get(secret.version);
      if (other === undefined || (secret.enabled && !other.enabled)) known.set(secret.version, secret);
    }
    return [...known.values()].sort((a, b) => b.createdAtMs - a.createdAtMs);
  }

  async function setEnabled(pair: VaultPair, version: string, enabled: boolean, call: Call): Promise<boolean> {
    const operation = enabled ? 'restore' : 'delete';
    let found = false;
    for (const name of [pair.name, pair.side]) {
      for (const secret of await calls.versions(name, operation, call)) {
        if (secret.version !== version || secret.id === undefined) continue;
        found = true;
        // What was promoted stays ended beside its secret.
        if (enabled && name === pair.side && (await calls.read(pair.name, undefined, operation, call)) !== undefined)
          continue;
        await calls.change(name, secret.id, { enabled }, operation, call);
      }
    }
    return found;
  }

  return {
    async get(path, at, call) {
      call.signal.throwIfAborted();
      const pair = pairOf(path);
      const found = await selected(calls, pair, at, call);
      if (found === undefined) {
        const deleted = await calls.readDeleted(pair.name, 'get', call);
        if (deleted === undefined || !mayMean(at, deleted)) return undefined;
        throw unavailable(path, deleted.version, 'deleted');
      }
      const { secret, stages } = found;
      const { version, createdAtMs, expiresAtMs, notBeforeMs } = secret;
      if (notBeforeMs !== undefined && notBeforeMs > clock.now()) throw unavailable(path, version, 'not-yet-valid');
      return { ...decodedValue(secret, 'get'), version, stages, createdAtMs, expiresAtMs };
    },
    put,
    async describe(path, call) {
      call.signal.throwIfAborted();
      const pair = pairOf(path);
      const { current, pending } = await stateOf(calls, pair, 'describe', call);
      if (current === undefined && pending === undefined) {
        const deleted = await calls.readDeleted(pair.name, 'describe', call);
        return deleted && secretRecord(path, deleted, {});
      }
      const shown = current ?? pending;
      const previous = current && (await previousOf(calls, current, 'describe', call));
      const stages = { current: current?.version, previous, pending: pending?.version };
      return shown && secretRecord(path, shown, stages);
    },
    async *listVersions(path, call) {
      const pair = pairOf(path);
      const { current, pending } = await stateOf(calls, pair, 'listVersions', call);
      if (current === undefined && pending === undefined) return;
      const previous = current && (await previousOf(calls, current, 'listVersions', call));
      for (const secret of await versionsOf(pair, 'listVersions', call)) {
        const { version } = secret;
        const stages: SecretStage[] = [];
        if (version === current?.version) stages.push('current');
        if (version === pending?.version) stages.push('pending');
        if (version === previous) stages.push('previous');
        yield recordOf(secret, stages);
      }
    },
    async *list(prefix, call) {
      const records = new Map<string, SecretRecord>();
      for (const which of ['deletedsecrets', 'secrets'] as const) {
        for (const secret of await calls.all(which, 'list', call)) {
          if (secret.name.toLowerCase().endsWith(pendingSuffix)) continue;
          const path = pathOfName(secret.name);
          if (path?.startsWith(prefix)) records.set(path, secretRecord(path, secret, {}));
        }
      }
      yield* [...records.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    async annotate(path, { expiresAtMs, annotations = {} }, call) {
      call.signal.throwIfAborted();
      const { name } = pairOf(path);
      const current = await newest(calls, name, 'annotate', call);
      if (current?.id === undefined) throw notFound(path);
      const merged = Object.entries({ ...current.facts.annotations, ...annotations });
      const kept = merged.filter((entry): entry is [string, string] => entry[1] !== null);
      const expiryRemoved = expiresAtMs === undefined ? current.facts.expiryRemoved : expiresAtMs === null;
      const tags = tagsOf({ ...current.facts, annotations: Object.fromEntries(kept), expiryRemoved });
      await calls.change(name, current.id, { tags, expiresAtMs: expiresAtMs ?? undefined }, 'annotate', call);
    },
    async setStage(path, stage, { from, to }, call) {
      call.signal.throwIfAborted();
      const pair = pairOf(path);
      if (stage === 'current') await promote(pair, from, to, call);
      else if (stage === 'pending') await movePending(pair, from, to, call);
      else if (stage === 'previous') await movePrevious(pair, from, to, call);
      else throw unsupported('stages but current, previous and pending');
    },
    async delete(path, { versions, permanent = false }, call) {
      call.signal.throwIfAborted();
      const pair = pairOf(path);
      if (versions !== undefined && permanent) throw unsupported('way to destroy single versions');
      if (versions !== undefined) {
        for (const version of versions) await setEnabled(pair, version, false, call);
        return;
      }
      for (const name of [pair.name, pair.side]) {
        await calls.remove(name, call);
        if (permanent) await calls.purge(name, call);
      }
    },
    async restore(path, { versions }, call) {
      call.signal.throwIfAborted();
      const pair = pairOf(path);
      const recovered = await calls.recover(pair.name, call);
      if (recovered) await calls.recover(pair.side, call);
      else if ((await newest(calls, pair.name, 'restore', call)) === undefined) {
        if ((await pendingOf(calls, pair, 'restore', call)) === undefined) throw notFound(path);
      }
      for (const version of versions ?? [])
        if (!(await setEnabled(pair, version, true, call))) throw notFound(path, `version ${version}`);
    },
  };
}

/** Whether a deleted secret is what was asked for: of its versions only the newest is known. */
function mayMean(
  { version, stage }: { readonly version?: string | undefined; readonly stage?: string | undefined },
  deleted: VaultSecret,
): boolean {
  return (
    stage === 'current' ||
    stage === 'previous' ||
    (stage === undefined && (version === undefined || version === deleted.version))
  );
}

function onlyStage(stages: readonly SecretStage[]): 'current' | 'pending' {
  const [stage, ...others] = stages;
  if (others.length === 0 && stage === 'current') return 'current';
  if (others.length === 0 && stage === 'pending') return 'pending';
  throw unsupported('version that has neither or both of the stages current and pending');
}

function emptyValue(): Error {
  const issue = { field: 'value', expected: 'at least one byte', received: 'none', remedy: 'Store a value.' };
  return configError('azureKeyVault', [issue]);
}

function secondsOnly(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

function recordOf(secret: VaultSecret, stages: readonly SecretStage[]): SecretVersionRecord {
  const { version, enabled, createdAtMs, expiresAtMs } = secret;
  return { version, stages, state: enabled ? 'enabled' : 'deleted', createdAtMs, expiresAtMs };
}

function secretRecord(
  path: string,
  secret: VaultSecret,
  stages: Readonly<Record<string, string | undefined>>,
): SecretRecord {
  const { facts, createdAtMs, updatedAtMs, expiresAtMs, deletedAtMs, contentType } = secret;
  const held = Object.entries(stages).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    path,
    version: stages['current'],
    stages: Object.fromEntries(held),
    createdAtMs: facts.firstMs ?? createdAtMs,
    updatedAtMs,
    expiresAtMs,
    deletedAtMs,
    contentType,
    tags: { ...facts.tags },
    annotations: { ...facts.annotations },
  };
}
