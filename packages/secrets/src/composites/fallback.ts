import { codeOf, UnsupportedError, withCall } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import type { Call, SecretCapabilities, SecretProvider, SecretRecord, StoredSecret } from '@mnops/core/spi';
import * as v from 'valibot';
import { following, largestBatch, weakest } from './capabilities.js';
import type { Member } from './members.js';
import { byPath, closeAll, conflictAt, damageOf, type Members, membersOf, unsupportedBy, watchAll } from './parts.js';

/** When the next member is asked. */
export interface FallbackOptions {
  /**
   * `absent`: the member has no secret of that path. `unavailable`: it cannot be reached, is overloaded or takes too long;
   * each member but the last then gets an equal share of the time that is left. Default `['absent']`. A refusal, a
   * deleted and an expired secret never move on.
   */
  readonly on?: readonly ('absent' | 'unavailable')[] | undefined;
}

const optionsSchema = v.strictObject({ on: v.optional(v.array(v.picklist(['absent', 'unavailable'])), ['absent']) });
const outages: readonly (string | undefined)[] = [
  'MNOPS_CORE_UNAVAILABLE',
  'MNOPS_CORE_TIMEOUT',
  'MNOPS_CORE_THROTTLED',
];

/**
 * Reads from the first member that has the secret. Versions and stages are those of that member: one that has the path but
 * not the version answers absent.
 *
 * Writes go to the first member alone. A new value for a secret that only another member has is stored in the first, whose
 * value is read from then on; its facts cannot be changed and it cannot be deleted here (`MNOPS_CORE_UNSUPPORTED`).
 * `list` needs every member, also with `unavailable`: a list with holes would say that secrets are gone.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function fallback(members: readonly SecretProvider[], options: FallbackOptions = {}): SecretProvider {
  const all = membersOf('fallback', members);
  const { on } = parseOptions('fallback', optionsSchema, options);
  const search = new Search(all, on.includes('absent'), on.includes('unavailable'));
  const [first] = all;
  const capabilitiesNow = following(members, capabilitiesOf);
  const capabilities = capabilitiesNow();

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'fallback',
    get capabilities() {
      return capabilitiesNow();
    },
    open: (call) => search.open(call),
    close: (call) => closeAll(all, call),
    damage: () => damageOf(all),
    async get(path, at, call) {
      const anything = at.version === undefined && at.stage === undefined;
      return await search.first(call, async (member, own) => {
        const stored = await member.get(path, at, own);
        if (stored !== undefined || anything) return stored;
        // A member that has the secret decides, also when it does not have that version.
        return (await member.describe(path, own)) === undefined ? undefined : null;
      });
    },
    async put(path, value, put, call) {
      const elsewhere = await search.elsewhere(path, call);
      const { ifVersion } = put;
      let condition = ifVersion;
      if (elsewhere !== undefined) {
        if (!put.stages.includes('current')) throw keptBy(elsewhere.member, path);
        if (ifVersion !== undefined && ifVersion !== (elsewhere.record.version ?? null))
          throw conflictAt(path, `${elsewhere.member.label} has another version`, elsewhere.record.version);
        if (ifVersion !== undefined) condition = null;
      }
      return await first.run(call, (provider) => provider.put(path, value, { ...put, ifVersion: condition }, call));
    },
    async describe(path, call) {
      return await search.first(call, (member, own) => member.describe(path, own));
    },
    async *listVersions(path, call) {
      const found = await search.first(call, async (member, own) => {
        if ((await member.describe(path, own)) === undefined) return undefined;
        return { member };
      });
      if (found === undefined) return;
      try {
        yield* found.member.provider.listVersions(path, call);
      } catch (error) {
        throw found.member.named(error);
      }
    },
    async *list(prefix, call) {
      const lists = await Promise.all(search.keepers.map((member) => member.list(prefix, call)));
      for (const [record] of byPath(lists)) yield record;
    },
    async delete(path, deletion, call) {
      if (!first.provider.capabilities.write) throw unsupportedBy(first, 'write');
      const elsewhere = await search.elsewhere(path, call);
      if (elsewhere !== undefined) throw keptBy(elsewhere.member, path);
      await first.run(call, (provider) => provider.delete(path, deletion, call));
    },
    ...changesOf(first, search),
    ...(capabilities.batchGet === 0 ? {} : { getMany: (paths, call) => search.many(paths, call) }),
    ...(capabilities.watch === 'none'
      ? {}
      : {
          watch: (prefix: string, call: Call) =>
            watchAll(
              search.keepers.map((member) => ({ member, prefix })),
              call,
            ),
        }),
  };
}

/** Asks the members in order. */
class Search {
  readonly #members: Members;
  readonly #absent: boolean;
  readonly #unavailable: boolean;

  constructor(members: Members, absent: boolean, unavailable: boolean) {
    this.#members = members;
    this.#absent = absent;
    this.#unavailable = unavailable;
  }

  /** Members whose secrets are seen here while every member is well. */
  get keepers(): readonly Member[] {
    return this.#absent ? this.#members : this.#members.slice(0, 1);
  }

  /** Every member is open, except those whose outage is to be survived: they are opened when they are asked. */
  async open(call: Call): Promise<void> {
    const openings = await Promise.allSettled(
      this.#members.map((member, at) => this.#within(call, at, (own) => member.open(own))),
    );
    const failed = openings.flatMap((opening) => (opening.status === 'rejected' ? [opening.reason] : []));
    for (const error of failed) if (!this.#movesOnAfter(error, call) || failed.length === openings.length) throw error;
  }

  /** What the first member yields that yields something; `null` ends the search with nothing. */
  async first<T>(
    call: Call,
    ask: (member: Member, call: Call) => Promise<T | null | undefined>,
  ): Promise<T | undefined> {
    for (const [at, member] of this.#members.entries()) {
      call.signal.throwIfAborted();
      try {
        const answer = await this.#within(call, at, (own) => ask(member, own));
        if (answer === null) return undefined;
        if (answer !== undefined || !this.#absent) return answer;
      } catch (error) {
        if (at === this.#members.length - 1 || !this.#movesOnAfter(error, call)) throw error;
      }
    }
    return undefined;
  }

  async many(paths: readonly string[], call: Call): ReturnType<NonNullable<SecretProvider['getMany']>> {
    const found = new Map<string, StoredSecret>();
    const failed = new Map<string, Error>();
    let open = [...paths];
    const absent: string[] = [];
    for (const [at, member] of this.#members.entries()) {
      const isLast = at === this.#members.length - 1;
      const answer = await this.#within(call, at, (own) => member.getMany(open, own)).catch((error: unknown) => {
        if (isLast || !this.#movesOnAfter(error, call)) throw error;
        return {
          found: new Map<string, StoredSecret>(),
          absent: [],
          failed: new Map(open.map((path) => [path, error as Error])),
        };
      });
      open = [];
      for (const [path, stored] of answer.found) found.set(path, stored);
      for (const path of answer.absent) (isLast || !this.#absent ? absent : open).push(path);
      for (const [path, error] of answer.failed) {
        if (isLast || !this.#movesOnAfter(error, call)) failed.set(path, error);
        else open.push(path);
      }
      if (open.length === 0) break;
    }
    return { found, absent, failed };
  }

  /** The member that has a secret which the first does not have. */
  async elsewhere(
    path: string,
    call: Call,
  ): Promise<{ readonly member: Member; readonly record: SecretRecord } | undefined> {
    const [first, ...others] = this.#members;
    if (!first.provider.capabilities.write) throw unsupportedBy(first, 'write');
    if (!this.#absent || (await first.describe(path, call)) !== undefined) return undefined;
    for (const member of others) {
      const record = await member.describe(path, call);
      if (record !== undefined) return { member, record };
    }
    return undefined;
  }

  #movesOnAfter(error: unknown, call: Call): boolean {
    return this.#unavailable && !call.signal.aborted && outages.includes(codeOf(error));
  }

  /** Leaves time for the members that come after. */
  async #within<T>(call: Call, at: number, run: (call: Call) => Promise<T>): Promise<T> {
    const remainingMs = call.remainingMs();
    const asked = this.#members.length - at;
    if (!this.#unavailable || asked === 1 || !Number.isFinite(remainingMs)) return await run(call);
    return await withCall({ signal: call.signal, timeoutMs: remainingMs / asked }, (own) =>
      run({ signal: own.signal, remainingMs: () => own.remainingMs(), secret: (reference) => call.secret(reference) }),
    );
  }
}

function capabilitiesOf(providers: readonly SecretProvider[]): SecretCapabilities {
  const all = weakest(providers);
  const [first = all] = providers.map(({ capabilities }) => capabilities);
  return {
    ...first,
    list: all.list,
    versionIds: all.versionIds,
    serverAudit: all.serverAudit,
    watch: all.watch,
    readAfterWrite: all.readAfterWrite,
    batchGet: largestBatch(providers),
    leases: false,
    durable: providers.some(({ capabilities }) => capabilities.durable),
    ...(all.versionIdsReused === true ? { versionIdsReused: true } : {}),
  };
}

/** Changes beside values, as far as the first member makes them. */
function changesOf(first: Member, search: Search): Pick<SecretProvider, 'annotate' | 'setStage' | 'restore'> {
  const { annotate, setStage, restore } = first.provider;
  async function owned(path: string, call: Call): Promise<void> {
    const elsewhere = await search.elsewhere(path, call);
    if (elsewhere !== undefined) throw keptBy(elsewhere.member, path);
  }
  return {
    ...(annotate === undefined
      ? {}
      : {
          async annotate(path, change, call) {
            await owned(path, call);
            await first.run(call, (provider) => annotate.call(provider, path, change, call));
          },
        }),
    ...(setStage === undefined
      ? {}
      : {
          async setStage(path, stage, move, call) {
            await owned(path, call);
            await first.run(call, (provider) => setStage.call(provider, path, stage, move, call));
          },
        }),
    ...(restore === undefined
      ? {}
      : {
          async restore(path, options, call) {
            await owned(path, call);
            await first.run(call, (provider) => restore.call(provider, path, options, call));
          },
        }),
  };
}

function keptBy(member: Member, path: string): UnsupportedError {
  return new UnsupportedError(`The secret ${path} is kept by ${member.label}, which is only read here.`, {
    provider: 'fallback',
    remedy: 'Change it there, or write a value of its own here first, which is read from then on.',
    details: { path, member: member.label },
  });
}
