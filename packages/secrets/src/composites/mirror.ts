import { createHash, randomUUID } from 'node:crypto';
import { codeOf, MnopsError, type MnopsErrorCode } from '@mnops/core';
import { configError } from '@mnops/core/config';
import type { Call, SecretCapabilities, SecretProvider, SecretPutOptions, StoredSecret } from '@mnops/core/spi';
import { following, weakest } from './capabilities.js';
import type { Member } from './members.js';
import { closeAll, damageOf, membersOf } from './parts.js';
import { pathQueue } from './path-queue.js';

/**
 * Keeps copies: the first member is the truth, and every read is one of it. Each change is made there first; then the
 * current value, its expiry and its deletion go to the others in order. They have current values only, under version ids
 * of their own; other stages, single versions and facts of the host stay with the first.
 *
 * A change that the first refuses reaches none. One that another member refuses stands in those that took it, the rest is
 * still tried, and the call rejects with the code of the first failure: `details.written` and `details.failed` name the
 * members. Repeating it stores nothing twice where members have the capability `repeatableWrites`. Changes of one path in
 * this process are made one after the other; of several processes that write one path at once, the copies may keep the
 * value of another than the truth until the next write.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`, also for a member that cannot write.
 */
export function mirror(members: readonly SecretProvider[]): SecretProvider {
  const all = membersOf('mirror', members);
  assertWriters(members);
  const [first, ...copies] = all;
  const truth = first.provider;
  const { annotate, setStage, restore, getMany, watch } = truth;
  const inTurn = pathQueue();
  const capabilitiesNow = following(members, capabilitiesOf);

  /** The current value of the truth becomes that of the copies. */
  async function copy(path: string, given: Copied | undefined, token: string, call: Call): Promise<void> {
    const isKnown = given !== undefined && truth.capabilities.readAfterWrite !== 'strong';
    const stored = isKnown ? given : await first.get(path, {}, call);
    if (stored === undefined) return;
    const { version, value, expiresAtMs, contentType } = stored;
    const put: SecretPutOptions = {
      token: tokenOf(path, version, token),
      stages: ['current'],
      expiresAtMs,
      contentType,
      tags: given?.tags,
    };
    await eachCopy(call, (provider) => provider.put(path, value, put, call));
  }

  /** Tries every copy, and rejects with what failed. */
  async function eachCopy(call: Call, run: (provider: SecretProvider) => Promise<unknown>): Promise<void> {
    const written = [first.label];
    const failed: Failure[] = [];
    for (const member of copies) {
      try {
        await member.run(call, run);
        written.push(member.label);
      } catch (error) {
        call.signal.throwIfAborted();
        if (!MnopsError.is(error)) throw error;
        failed.push({ member, error });
      }
    }
    if (failed.length > 0) throw incomplete(written, failed);
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'mirror',
    get capabilities() {
      return capabilitiesNow();
    },
    async open(call) {
      await Promise.all(all.map((member) => member.open(call)));
    },
    close: (call) => closeAll(all, call),
    damage: () => damageOf(all),
    get: (path, at, call) => first.get(path, at, call),
    describe: (path, call) => first.describe(path, call),
    async *listVersions(path, call) {
      await first.open(call);
      try {
        yield* truth.listVersions(path, call);
      } catch (error) {
        throw first.named(error);
      }
    },
    async *list(prefix, call) {
      yield* await first.list(prefix, call);
    },
    put: (path, value, options, call) =>
      inTurn(path, call, async () => {
        const isCurrent = options.stages.includes('current');
        const before = isCurrent ? undefined : await first.describe(path, call);
        const written = await first.run(call, (provider) => provider.put(path, value, options, call));
        // A new version of any stage may bring a deleted secret back.
        if (before?.deletedAtMs !== undefined) await copy(path, undefined, options.token, call);
        if (isCurrent) {
          const { expiresAtMs, contentType, tags } = options;
          const given = { value, version: written.version, stages: options.stages, expiresAtMs, contentType, tags };
          await copy(path, given, options.token, call);
        }
        return written;
      }),
    delete: (path, options, call) =>
      inTurn(path, call, async () => {
        await first.run(call, (provider) => provider.delete(path, options, call));
        if (options.versions === undefined) await eachCopy(call, (provider) => provider.delete(path, options, call));
      }),
    ...(annotate === undefined
      ? {}
      : {
          annotate: (path, change, call) =>
            inTurn(path, call, async () => {
              await first.run(call, (provider) => annotate.call(provider, path, change, call));
              const { expiresAtMs } = change;
              if (expiresAtMs === undefined) return;
              await eachCopy(call, async (provider) => provider.annotate?.(path, { expiresAtMs }, call));
            }),
        }),
    ...(setStage === undefined
      ? {}
      : {
          setStage: (path, stage, move, call) =>
            inTurn(path, call, async () => {
              await first.run(call, (provider) => setStage.call(provider, path, stage, move, call));
              if (stage !== 'current' || move.to === null) return;
              const given = await first.get(path, { version: move.to }, call);
              await copy(path, given, randomUUID(), call);
            }),
        }),
    ...(restore === undefined
      ? {}
      : {
          restore: (path, options, call) =>
            inTurn(path, call, async () => {
              await first.run(call, (provider) => restore.call(provider, path, options, call));
              await eachCopy(call, (provider) => restoreCopy(provider, path, call));
              await copy(path, undefined, randomUUID(), call);
            }),
        }),
    ...(getMany === undefined
      ? {}
      : { getMany: (paths, call) => first.run(call, (provider) => getMany.call(provider, paths, call)) }),
    ...(watch === undefined ? {} : { watch: (prefix, call) => watch.call(truth, prefix, call) }),
  };
}

type Copied = StoredSecret & { readonly tags?: Readonly<Record<string, string>> | undefined };

interface Failure {
  readonly member: Member;
  readonly error: MnopsError;
}

async function restoreCopy(provider: SecretProvider, path: string, call: Call): Promise<void> {
  try {
    await provider.restore?.(path, {}, call);
  } catch (error) {
    // The value is copied afterwards in any case.
    if (codeOf(error) !== 'MNOPS_CORE_NOT_FOUND') throw error;
  }
}

/** The same for every repetition of one change, another for each change. */
function tokenOf(path: string, version: string, change: string): string {
  const hex = createHash('sha256')
    .update(JSON.stringify([path, version, change]))
    .digest('hex');
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function incomplete(written: readonly string[], failed: readonly Failure[]): MnopsError {
  const named = failed.map(({ member, error }) => `${member.label} (${error.code})`).join(', ');
  const retryAfter = failed.flatMap(({ error }) => error.retryAfterMs ?? []);
  const code: MnopsErrorCode = failed[0]?.error.code ?? 'MNOPS_CORE_UNAVAILABLE';
  return new MnopsError(code, `The change is made in ${written.join(', ')}, but not in ${named}.`, {
    provider: 'mirror',
    retryable: failed.every(({ error }) => error.retryable),
    ...(retryAfter.length === 0 ? {} : { retryAfterMs: Math.max(...retryAfter) }),
    remedy: 'Make the members that are named work again, and repeat the change.',
    details: {
      member: failed[0]?.member.label ?? '',
      written,
      failed: failed.map(({ member, error }) => ({ member: member.label, code: error.code })),
    },
    cause: failed[0]?.error,
  });
}

function assertWriters(providers: readonly SecretProvider[]): void {
  const issues = providers.flatMap(({ id, capabilities }, at) =>
    capabilities.write
      ? []
      : [
          {
            field: `members.${at}`,
            expected: 'a provider that can write',
            received: `${id}, which only reads`,
            remedy: 'Leave it out, or put it behind `fallback`.',
          },
        ],
  );
  if (issues.length > 0) throw configError('mirror', issues);
}

/** Reads are those of the first; what is written must fit into every member. */
function capabilitiesOf(providers: readonly SecretProvider[]): SecretCapabilities {
  const all = weakest(providers);
  const [first = all] = providers.map(({ capabilities }) => capabilities);
  return {
    ...first,
    repeatableWrites: all.repeatableWrites,
    binary: all.binary,
    emptyValue: all.emptyValue,
    maxValueBytes: all.maxValueBytes,
    softDelete: all.softDelete,
    tags: all.tags,
    recoveryDays: all.recoveryDays,
    leases: false,
    durable: providers.some(({ capabilities }) => capabilities.durable),
    propagationMs: all.propagationMs,
  };
}
