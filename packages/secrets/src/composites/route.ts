import { UnsupportedError } from '@mnops/core';
import { configError, parseOptions } from '@mnops/core/config';
import type { Call, SecretCapabilities, SecretProvider, StoredSecret } from '@mnops/core/spi';
import * as v from 'valibot';
import { isPath } from '../path.js';
import { following, largestBatch, weakest } from './capabilities.js';
import { Member } from './members.js';
import { byPath, closeAll, damageOf, memberSchema, unsupportedBy, watchAll } from './parts.js';

interface Route {
  readonly prefix: string;
  readonly member: Member;
}

/**
 * Sends each path to the provider whose prefix is the longest that the path begins with: `route({ 'prod/': a, '': b })`.
 * Providers see whole paths. What no prefix covers is absent, and cannot be written.
 *
 * Abilities are those that every member has; of those that concern writing, every member that can write. A member that
 * cannot write refuses, and so does one without leases, with `MNOPS_CORE_UNSUPPORTED`. Failures name the route.
 *
 * @param routes - Providers by prefix; a prefix is empty or ends with `/`.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function route(routes: Readonly<Record<string, SecretProvider>>): SecretProvider {
  const table = tableOf(routes);
  const members = table.map(({ member }) => member);
  const providers = members.map(({ provider }) => provider);
  const capabilitiesNow = following(providers, capabilitiesOf);
  const capabilities = capabilitiesNow();

  function routeOf(path: string): Member | undefined {
    return table.find(({ prefix }) => path.startsWith(prefix))?.member;
  }

  function must(path: string): Member {
    const member = routeOf(path);
    if (member !== undefined) return member;
    const prefixes = table.map(({ prefix }) => `'${prefix}'`).join(', ');
    throw new UnsupportedError(`No route covers the path ${path}; there are ${prefixes}.`, {
      provider: 'route',
      remedy: "Add a route for it, or one with the prefix '' for everything else.",
      details: { path },
    });
  }

  /** Routes that a prefix can reach, with what to ask each of them for. */
  function reachedBy(prefix: string): { readonly member: Member; readonly prefix: string }[] {
    return table
      .filter((each) => each.prefix.startsWith(prefix) || prefix.startsWith(each.prefix))
      .map((each) => ({ member: each.member, prefix: prefix.length > each.prefix.length ? prefix : each.prefix }));
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'route',
    get capabilities() {
      return capabilitiesNow();
    },
    async open(call) {
      await Promise.all(members.map((member) => member.open(call)));
    },
    close: (call) => closeAll(members, call),
    damage: () => damageOf(members),
    async get(path, at, call) {
      call.signal.throwIfAborted();
      return await routeOf(path)?.get(path, at, call);
    },
    async put(path, value, options, call) {
      return await must(path).run(call, (provider) => provider.put(path, value, options, call));
    },
    async describe(path, call) {
      return await routeOf(path)?.describe(path, call);
    },
    async *listVersions(path, call) {
      const member = routeOf(path);
      if (member === undefined) return;
      await member.open(call);
      try {
        yield* member.provider.listVersions(path, call);
      } catch (error) {
        throw member.named(error);
      }
    },
    async *list(prefix, call) {
      const lists = await Promise.all(
        reachedBy(prefix).map(async ({ member, prefix: asked }) => {
          const records = await member.list(asked, call);
          return records.filter(({ path }) => routeOf(path) === member);
        }),
      );
      for (const [record] of byPath(lists)) yield record;
    },
    async delete(path, options, call) {
      await must(path).run(call, (provider) => provider.delete(path, options, call));
    },
    ...movesOf(providers, must),
    ...batchesOf(capabilities, routeOf),
    ...(capabilities.watch === 'none'
      ? {}
      : {
          watch: (prefix: string, call: Call) =>
            watchAll(reachedBy(prefix), call, (member, path) => path === undefined || routeOf(path) === member),
        }),
    ...(capabilities.leases ? leasesOf(members, must) : {}),
  };
}

function tableOf(routes: Readonly<Record<string, SecretProvider>>): readonly Route[] {
  const schema = v.strictObject({ routes: v.record(v.string(), memberSchema) });
  parseOptions('route', schema, { routes });
  const prefixes = Object.keys(routes);
  // No path begins with any other prefix: its secrets would be looked for, and written, behind another route.
  const wrong = prefixes.filter((prefix) => prefix !== '' && !(prefix.endsWith('/') && isPath(prefix.slice(0, -1))));
  const issues = wrong.map((prefix) => ({
    field: `routes.${prefix}`,
    expected: 'a prefix that is empty, or a path in normal form and a / at its end',
    received: 'another prefix',
    remedy: remedyFor(prefix),
  }));
  if (prefixes.length === 0) {
    issues.push({
      field: 'routes',
      expected: 'at least one prefix with a provider',
      received: 'none',
      remedy: "Give one, such as `{ '': provider }`.",
    });
  }
  if (issues.length > 0) throw configError('route', issues);
  const openings = new Map();
  return Object.entries(routes)
    .map(([prefix, provider]) => {
      const member = new Member(provider, `route['${prefix}'] ${provider.id}`, openings);
      return { prefix, member };
    })
    .sort((a, b) => b.prefix.length - a.prefix.length);
}

function capabilitiesOf(providers: readonly SecretProvider[]): SecretCapabilities {
  const all = weakest(providers);
  const writers = providers.filter(({ capabilities }) => capabilities.write);
  if (writers.length === 0) return { ...all, batchGet: largestBatch(providers) };
  const writing = weakest(writers);
  return {
    ...writing,
    list: all.list,
    versionIds: all.versionIds,
    watch: all.watch,
    readAfterWrite: all.readAfterWrite,
    serverAudit: all.serverAudit,
    batchGet: largestBatch(providers),
    leases: providers.some(({ capabilities }) => capabilities.leases),
    // A rotation in the one that is durable needs its journal.
    durable: providers.some(({ capabilities }) => capabilities.durable),
    ...(all.versionIdsReused === true ? { versionIdsReused: true } : {}),
  };
}

function remedyFor(prefix: string): string {
  const path = prefix.normalize('NFC').replace(/^\/+|\/+$/g, '');
  if (path === '') return "Write it as `''`.";
  return isPath(path) ? `Write it as \`${path}/\`.` : 'Write it as paths begin: `shop/`, or `shop/prod/`.';
}

type Find = (path: string) => Member;

/** Changes beside values, where at least one member can make them. */
function movesOf(
  providers: readonly SecretProvider[],
  must: Find,
): Pick<SecretProvider, 'annotate' | 'setStage' | 'restore'> {
  const annotate: SecretProvider['annotate'] = async (path, change, call) => {
    const member = must(path);
    if (member.provider.annotate === undefined) throw unsupportedBy(member, 'annotations');
    await member.run(call, async (provider) => provider.annotate?.(path, change, call));
  };
  const setStage: SecretProvider['setStage'] = async (path, stage, move, call) => {
    const member = must(path);
    if (member.provider.setStage === undefined) throw unsupportedBy(member, 'stages');
    await member.run(call, async (provider) => provider.setStage?.(path, stage, move, call));
  };
  const restore: SecretProvider['restore'] = async (path, options, call) => {
    const member = must(path);
    if (member.provider.restore === undefined) throw unsupportedBy(member, 'softDelete');
    await member.run(call, async (provider) => provider.restore?.(path, options, call));
  };
  return {
    ...(providers.some((each) => each.annotate !== undefined) ? { annotate } : {}),
    ...(providers.some((each) => each.setStage !== undefined) ? { setStage } : {}),
    ...(providers.some((each) => each.restore !== undefined) ? { restore } : {}),
  };
}

function batchesOf(
  { batchGet }: SecretCapabilities,
  routeOf: (path: string) => Member | undefined,
): Pick<SecretProvider, 'getMany'> {
  if (batchGet === 0) return {};
  return {
    async getMany(paths, call) {
      const found = new Map<string, StoredSecret>();
      const failed = new Map<string, Error>();
      const absent: string[] = [];
      const groups = new Map<Member, string[]>();
      for (const path of paths) {
        const member = routeOf(path);
        if (member === undefined) absent.push(path);
        else groups.set(member, [...(groups.get(member) ?? []), path]);
      }
      const answers = await Promise.all([...groups].map(([member, own]) => member.getMany(own, call)));
      for (const answer of answers) {
        for (const [path, stored] of answer.found) found.set(path, stored);
        for (const [path, error] of answer.failed) failed.set(path, error);
        absent.push(...answer.absent);
      }
      return { found, absent, failed };
    },
  };
}

/** A lease is named by the number of its member and the member's own name for it. */
function leasesOf(members: readonly Member[], must: Find): Pick<SecretProvider, 'issue' | 'renew' | 'revoke'> {
  function ownerOf(leaseId: string): { readonly member: Member; readonly own: string } {
    const [, at = '', own = ''] = /^(\d+):(.*)$/s.exec(leaseId) ?? [];
    const member = members[Number(at)];
    if (at !== '' && member?.provider.renew !== undefined) return { member, own };
    throw new UnsupportedError('The lease is of another provider.', { provider: 'route' });
  }
  return {
    async issue(path, ttlMs, call) {
      const member = must(path);
      const { issue } = member.provider;
      if (issue === undefined) throw unsupportedBy(member, 'leases');
      const issued = await member.run(call, (provider) => issue.call(provider, path, ttlMs, call));
      return { ...issued, leaseId: `${members.indexOf(member)}:${issued.leaseId}` };
    },
    async renew(leaseId, ttlMs, call) {
      const { member, own } = ownerOf(leaseId);
      return await member.run(call, async (provider) => {
        const { renew } = provider;
        if (renew === undefined) throw unsupportedBy(member, 'leases');
        return await renew.call(provider, own, ttlMs, call);
      });
    },
    async revoke(leaseId, call) {
      const { member, own } = ownerOf(leaseId);
      await member.run(call, async (provider) => provider.revoke?.(own, call));
    },
  };
}
