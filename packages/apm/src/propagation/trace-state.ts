import type { TraceState } from '@opentelemetry/api';

/** Members that a `tracestate` may have; more invalidate it. */
const maxMembers = 32;
/** Characters that are kept and passed on; the standard asks for at least 512. */
const maxCharacters = 4_096;
/** Characters that are looked at, so that a hostile header costs nothing. */
const maxReadCharacters = 65_536;
/** Where there are too many characters, members longer than this go first. */
const longMember = 128;
const memberKey = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/;
const memberValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const whiteSpaceAround = /^[ \t]+|[ \t]+$/g;

/**
 * Reads the members of a W3C `tracestate` (Level 2), newest first. Never throws. Keys and values come back as they were
 * sent; of two members with one key the first, which is the newer, is kept. Over 4,096 characters, members longer than
 * 128 go first, then the oldest, as the standard says.
 *
 * @param value - The header, or several, which belong together.
 * @returns `undefined` when there is none, or when a member is malformed, or when there are more than 32.
 */
export function readTraceState(value: unknown): ReadonlyMap<string, string> | undefined {
  const text = Array.isArray(value) ? value.filter((part) => typeof part === 'string').join(',') : value;
  if (typeof text !== 'string' || text.length > maxReadCharacters) return undefined;
  const members = new Map<string, string>();
  for (const part of text.split(',')) {
    // A space before the value belongs to it, one after it does not.
    const member = part.replace(whiteSpaceAround, '');
    if (member === '') continue;
    const separator = member.indexOf('=');
    const key = member.slice(0, Math.max(0, separator));
    const entry = member.slice(separator + 1);
    if (!memberKey.test(key) || !memberValue.test(entry)) return undefined;
    if (!members.has(key)) members.set(key, entry);
    if (members.size > maxMembers) return undefined;
  }
  return members.size === 0 ? undefined : shortened(members);
}

/** The header text of members. */
export function traceStateText(members: ReadonlyMap<string, string>): string {
  return [...members].map(([key, entry]) => `${key}=${entry}`).join(',');
}

/**
 * The form in which OpenTelemetry holds a `tracestate`. Its own keeps no key that only Level 2 allows, nothing over 512
 * characters, and drops malformed members one by one instead of all.
 */
export function traceStateOf(members: ReadonlyMap<string, string>): TraceState {
  return {
    get: (key) => members.get(key),
    set: (key, value) => {
      if (!memberKey.test(key) || !memberValue.test(value)) return traceStateOf(members);
      // What changed stands first; the oldest makes room.
      const rest = [...members].filter(([other]) => other !== key).slice(0, maxMembers - 1);
      return traceStateOf(new Map([[key, value], ...rest]));
    },
    unset: (key) => traceStateOf(new Map([...members].filter(([other]) => other !== key))),
    serialize: () => traceStateText(members),
  };
}

function shortened(members: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  let characters = traceStateText(members).length;
  if (characters <= maxCharacters) return members;
  const kept = new Map(members);
  const oldestFirst = [...members].reverse();
  const isLong = ([key, entry]: readonly [string, string]): boolean => key.length + entry.length + 1 > longMember;
  for (const member of [...oldestFirst.filter(isLong), ...oldestFirst.filter((one) => !isLong(one))]) {
    if (characters <= maxCharacters) break;
    kept.delete(member[0]);
    characters -= member[0].length + member[1].length + 2;
  }
  return kept;
}
