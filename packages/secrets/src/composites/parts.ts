import { coreError, UnsupportedError } from '@mnops/core';
import { parseOptions, providerSchema } from '@mnops/core/config';
import type { Call, SecretChange, SecretProvider, StorageDamage } from '@mnops/core/spi';
import * as v from 'valibot';
import { changeFeed } from '../store/change-feed.js';
import { Member } from './members.js';

/** Schema of one member of a composite. */
export const memberSchema: v.GenericSchema<SecretProvider> = providerSchema<SecretProvider>('secret-provider', [
  'get',
  'put',
  'describe',
  'listVersions',
  'list',
  'delete',
]);

/** Members of a composite that is made from a list; at least one. */
export type Members = readonly [Member, ...Member[]];

/**
 * The members of a composite that is made from a list.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a list that is empty or holds something else.
 */
export function membersOf(composite: string, providers: readonly SecretProvider[]): Members {
  const schema = v.strictObject({ members: v.pipe(v.array(memberSchema), v.minLength(1)) });
  parseOptions(composite, schema, { members: providers });
  const openings = new Map();
  const members = providers.map((each, at) => new Member(each, `${composite}[${at}] ${each.id}`, openings));
  return members as [Member, ...Member[]];
}

/** Closes every provider once, also when one of them fails; then the first failure is thrown. */
export async function closeAll(members: readonly Member[], call: Call): Promise<void> {
  const providers = new Map(members.map((member) => [member.provider, member]));
  const closings = [...providers.values()].map(async (member) => {
    try {
      await member.provider.close?.(call);
    } catch (error) {
      throw member.named(error);
    }
  });
  for (const closing of await Promise.allSettled(closings)) if (closing.status === 'rejected') throw closing.reason;
}

/** Damage of every member's own files. */
export function damageOf(members: readonly Member[]): readonly StorageDamage[] {
  return [...new Set(members.map(({ provider }) => provider))].flatMap((provider) => [...(provider.damage?.() ?? [])]);
}

/** Records of several lists by path, sorted; those of one path in the order of the lists. */
export function byPath<T extends { readonly path: string }>(
  lists: readonly (readonly T[])[],
): (readonly [T, ...T[]])[] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const record of lists.flat()) {
    const group = groups.get(record.path);
    if (group === undefined) groups.set(record.path, [record]);
    else group.push(record);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** One watch that a member is asked for. */
export interface MemberWatch {
  readonly member: Member;
  readonly prefix: string;
}

/**
 * Changes that any of the watches tells of. When one of them ends or fails, all end: whoever listens begins anew.
 *
 * @param keep - Whether a change of that member counts.
 */
export function watchAll(
  watches: readonly MemberWatch[],
  call: Call,
  keep: (member: Member, path: string | undefined) => boolean = () => true,
): AsyncIterable<SecretChange> {
  const end = new AbortController();
  const signal = AbortSignal.any([call.signal, end.signal]);
  const own: Call = {
    signal,
    remainingMs: () => call.remainingMs(),
    secret: (reference) => call.secret(reference),
  };
  const feed = changeFeed();
  const changes = feed.watch('', signal);
  let failure: { readonly error: unknown } | undefined;
  const sources = watches.map(({ member, prefix }) => ({ member, source: member.provider.watch?.(prefix, own) }));
  for (const { member, source } of sources) void follow(member, source);

  async function follow(member: Member, source: AsyncIterable<SecretChange> | undefined): Promise<void> {
    try {
      for await (const change of source ?? []) if (keep(member, change.path)) feed.publish(change);
    } catch (error) {
      failure ??= { error: member.named(error) };
    } finally {
      feed.close();
    }
  }

  return (async function* read(): AsyncGenerator<SecretChange, void> {
    try {
      yield* changes;
      if (failure !== undefined && !call.signal.aborted) throw failure.error;
    } finally {
      end.abort();
    }
  })();
}

/** The refusal of something that a member cannot do; thrown before anything is sent. */
export function unsupportedBy(member: Member, ability: string): UnsupportedError {
  return new UnsupportedError(`${member.label} does not have the capability ${ability}.`, {
    provider: member.provider.id,
    details: { ability, member: member.label },
  });
}

/** A conflict as providers report it. */
export function conflictAt(path: string, why: string, currentVersion: string | undefined): Error {
  return coreError('MNOPS_CORE_CONFLICT', `The secret ${path} was not written: ${why}.`, {
    details: { path, ...(currentVersion === undefined ? {} : { currentVersion }) },
  });
}
