import { createHash } from 'node:crypto';
import { coreError } from '@mnops/core';
import { configError } from '@mnops/core/config';
import { providerId } from './vault-error.js';

/** What is known of one version beside its value. Short names, because Vault takes 512 bytes of it. */
export interface VersionFacts {
  /** Content type. */
  readonly t?: string | undefined;
  /** Expiry, epoch milliseconds. */
  readonly e?: number | undefined;
  /** Key of the write's token. */
  readonly k?: string | undefined;
  /** Order of fields, see `encodeValue`. */
  readonly o?: string | undefined;
  /** Stages that moved to the version when it was written; absent: `current`. */
  readonly s?: readonly string[] | undefined;
}

/** A write that was announced and may or may not have happened. */
export interface Claim extends VersionFacts {
  /** Version that it is to become. */
  readonly v: number;
}

/** Everything in the `custom_metadata` of one secret. */
export interface SecretFacts {
  /** Where stages stood when the secret had `seen` versions. Later versions move them as their own facts say. */
  readonly pointers: { readonly seen: number; readonly stages: Readonly<Record<string, number>> };
  readonly versions: ReadonlyMap<number, VersionFacts>;
  readonly claims: ReadonlyMap<string, Claim>;
  /** Versions up to this one belong to a secret that was deleted for good. */
  readonly gone: number;
  /** Versions that a delete of the whole secret took away. */
  readonly deleted: readonly number[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

const prefix = 'mnops-';
const names = { stages: `${prefix}stages`, gone: `${prefix}gone`, deleted: `${prefix}deleted` };
const versionPrefix = `${prefix}v`;
const claimPrefix = `${prefix}claim-`;
const notePrefix = `${prefix}note-`;

/** Bounds of Vault. */
const maxKeyBytes = 128;
const maxValueBytes = 512;
const maxKeys = 64;
/** Room for a claim and pointers that a later write needs. */
const spareKeys = 4;

/** Names under which facts are kept in `custom_metadata`. */
export const factNames: typeof names & {
  version(version: number): string;
  claim(tokenKey: string): string;
  note(name: string): string;
} = {
  ...names,
  version: (version) => `${versionPrefix}${version}`,
  claim: (tokenKey) => `${claimPrefix}${tokenKey}`,
  note: (name) => `${notePrefix}${encodeURIComponent(name)}`,
};

/** Short key of a write's token, so that the token itself is not shown. */
export function tokenKeyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url').slice(0, 16);
}

/** Facts from `custom_metadata`. What cannot be read counts as absent: other tools may write there too. */
export function readFacts(custom: Readonly<Record<string, unknown>> | undefined): SecretFacts {
  const versions = new Map<number, VersionFacts>();
  const claims = new Map<string, Claim>();
  const annotations: Record<string, string> = Object.create(null);
  const tags: Record<string, string> = Object.create(null);
  for (const [name, text] of Object.entries(custom ?? {})) {
    if (typeof text !== 'string') continue;
    if (!name.startsWith(prefix)) tags[name] = text;
    else if (/^mnops-v[1-9]\d{0,14}$/.test(name)) versions.set(Number(name.slice(versionPrefix.length)), factsOf(text));
    else if (name.startsWith(claimPrefix)) {
      const claim = parsed(text);
      if (isVersion(claim['v'])) claims.set(name.slice(claimPrefix.length), { ...factsOf(text), v: claim['v'] });
    } else if (name.startsWith(notePrefix)) {
      const note = parsed(text)['n'];
      if (typeof note === 'string') annotations[decoded(name.slice(notePrefix.length))] = note;
    }
  }
  const pointers = parsed(custom?.[names.stages]);
  return {
    pointers: { seen: isVersion(pointers['seen']) ? pointers['seen'] : 0, stages: stagesOf(pointers['stages']) },
    versions,
    claims,
    gone: Number(/^\d{1,15}$/.exec(String(custom?.[names.gone] ?? ''))?.[0] ?? 0),
    deleted: String(custom?.[names.deleted] ?? '')
      .split(',')
      .map(Number)
      .filter(isVersion),
    annotations,
    tags,
  };
}

/** One fact as the text that Vault keeps: JSON in printable ASCII. */
export function factText(name: string, value: unknown): string {
  const text = JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  if (text.length > maxValueBytes || name.length > maxKeyBytes) {
    throw coreError('MNOPS_CORE_TOO_LARGE', `${providerId}: the facts of the secret do not fit into its metadata.`, {
      provider: providerId,
      details: { maxKeyBytes, maxValueBytes },
      remedy: 'Use a shorter content type, fewer stages, or shorter names and texts of annotations.',
    });
  }
  return text;
}

/** Tags as changes of `custom_metadata`: those that are there and not given any more are removed. */
export function tagChanges(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Record<string, string | null> {
  const changes: Record<string, string | null> = {};
  for (const name of Object.keys(before)) changes[name] = null;
  for (const [name, text] of Object.entries(after)) {
    assertTag(name, text);
    changes[name] = text;
  }
  return changes;
}

function assertTag(name: string, text: string): void {
  const fits = (value: string, most: number): boolean =>
    value !== '' && Buffer.byteLength(value) <= most && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value);
  const expected = `a printable name of at most ${maxKeyBytes} bytes that does not begin with ${prefix}, and a printable text of 1 to ${maxValueBytes} bytes`;
  const reserved = name.startsWith(prefix) || name === '__proto__';
  if (fits(name, maxKeyBytes) && fits(text, maxValueBytes) && !reserved) return;
  throw configError('write', [
    {
      field: 'tags',
      expected,
      received: 'another tag',
      remedy: 'Change the tag; Vault keeps tags as custom_metadata.',
    },
  ]);
}

/**
 * Changes that keep the whole within Vault's number of keys: facts of versions that are no more are dropped, then those
 * of the oldest ones.
 */
export function withinBounds(
  custom: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, string | null>>,
  kept: ReadonlySet<number>,
): Record<string, string | null> {
  const bounded: Record<string, string | null> = { ...changes };
  const after = new Set(Object.keys(custom).filter((name) => changes[name] !== null));
  for (const [name, text] of Object.entries(changes)) if (text !== null) after.add(name);
  const versionOf = (name: string): number => Number(name.slice(versionPrefix.length));
  const versioned = [...after].filter((name) => /^mnops-v\d+$/.test(name)).sort((a, b) => versionOf(a) - versionOf(b));
  for (const name of versioned) {
    const needed = typeof changes[name] === 'string' || kept.has(versionOf(name));
    if (needed && after.size <= maxKeys - spareKeys) continue;
    if (typeof changes[name] === 'string') continue;
    after.delete(name);
    bounded[name] = null;
  }
  if (after.size > maxKeys) {
    throw coreError(
      'MNOPS_CORE_TOO_LARGE',
      `${providerId}: the metadata of the secret would have over ${maxKeys} keys.`,
      {
        provider: providerId,
        details: { maxKeys },
        remedy: 'Use fewer tags and annotations.',
      },
    );
  }
  return bounded;
}

function factsOf(text: string): VersionFacts {
  const { t, e, k, o, s } = parsed(text);
  return {
    t: typeof t === 'string' ? t : undefined,
    e: typeof e === 'number' && Number.isFinite(e) ? e : undefined,
    k: typeof k === 'string' ? k : undefined,
    o: typeof o === 'string' ? o : undefined,
    s: Array.isArray(s) ? s.filter((stage) => typeof stage === 'string') : undefined,
  };
}

function stagesOf(value: unknown): Record<string, number> {
  const stages: Record<string, number> = Object.create(null);
  if (typeof value !== 'object' || value === null) return stages;
  for (const [stage, version] of Object.entries(value)) if (isVersion(version)) stages[stage] = version;
  return stages;
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function parsed(text: unknown): Readonly<Record<string, unknown>> {
  if (typeof text !== 'string') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
