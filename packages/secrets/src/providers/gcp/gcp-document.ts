import { createHash } from 'node:crypto';
import { coreError } from '@mnops/core';

/** Name of the annotation that holds the facts that Secret Manager has no field for. */
export const documentKey = 'mnops';

/** All annotations of a secret together may have 16 KiB; the rest is for those of others. */
const maxDocumentBytes = 15_360;

/** Versions whose write token is remembered. */
const rememberedTokens = 20;

/** Facts of one version. */
export interface VersionFacts {
  readonly expiresAtMs?: number | undefined;
  readonly contentType?: string | undefined;
  /** Hash of the token that it was written with. */
  readonly token?: string | undefined;
}

/** Facts of a secret beside its values. */
export interface GcpDocument {
  readonly versions: ReadonlyMap<string, VersionFacts>;
  /** Tags that cannot be labels. */
  readonly tags: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly updatedAtMs?: number | undefined;
  readonly deletedAtMs?: number | undefined;
  /** Versions that a delete of the whole secret disabled, for its restore. */
  readonly disabled: readonly string[];
}

/** The facts of a secret that nobody wrote facts for. */
export const emptyDocument: GcpDocument = { versions: new Map(), tags: {}, annotations: {}, disabled: [] };

/** A short name of a write token. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url').slice(0, 16);
}

/** The document as the text of an annotation. */
export function documentText(document: GcpDocument): string {
  const { versions, tags, annotations, updatedAtMs, deletedAtMs, disabled } = document;
  const numbers = [...versions.keys()].sort((a, b) => Number(b) - Number(a));
  const facts = numbers.map((version, index) => {
    const { expiresAtMs, contentType, token } = versions.get(version) ?? {};
    return [version, { e: expiresAtMs, c: contentType, t: index < rememberedTokens ? token : undefined }] as const;
  });
  const kept = facts.filter(([, fact]) => Object.values(fact).some((value) => value !== undefined));
  const text = JSON.stringify({
    v: Object.fromEntries(kept),
    tags: orNothing(tags),
    annotations: orNothing(annotations),
    updated: updatedAtMs,
    deleted: deletedAtMs,
    disabled: disabled.length === 0 ? undefined : disabled,
  });
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxDocumentBytes) return text;
  throw coreError(
    'MNOPS_CORE_TOO_LARGE',
    `gcp: tags, annotations and facts of versions of one secret have ${bytes} bytes, over ${maxDocumentBytes}.`,
    { provider: 'gcp', remedy: 'Use fewer or shorter tags, or delete old versions for good.' },
  );
}

/** Reads the annotation; `undefined` when there is none. */
export function documentOf(text: string | undefined): GcpDocument | undefined {
  if (text === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw damaged();
  }
  if (!isRecord(parsed)) throw damaged();
  const versions = new Map<string, VersionFacts>();
  for (const [version, fact] of Object.entries(isRecord(parsed['v']) ? parsed['v'] : {})) {
    if (!isRecord(fact)) throw damaged();
    versions.set(version, {
      expiresAtMs: numberIn(fact['e']),
      contentType: textIn(fact['c']),
      token: textIn(fact['t']),
    });
  }
  return {
    versions,
    tags: textsIn(parsed['tags']),
    annotations: textsIn(parsed['annotations']),
    updatedAtMs: numberIn(parsed['updated']),
    deletedAtMs: numberIn(parsed['deleted']),
    disabled: Object.values(textsIn(parsed['disabled'])),
  };
}

/** Tags as Secret Manager keeps them: those that fit its rules for labels, and the others. */
export function splitTags(tags: Readonly<Record<string, string>>): {
  readonly labels: Record<string, string>;
  readonly rest: Record<string, string>;
} {
  const labels: [string, string][] = [];
  const rest: [string, string][] = [];
  for (const tag of Object.entries(tags)) {
    const fits = /^[a-z][a-z0-9_-]{0,62}$/.test(tag[0]) && /^[a-z0-9_-]{0,63}$/.test(tag[1]) && labels.length < 64;
    (fits ? labels : rest).push(tag);
  }
  return { labels: Object.fromEntries(labels), rest: Object.fromEntries(rest) };
}

function orNothing(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  return Object.keys(record).length === 0 ? undefined : record;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textsIn(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null) throw damaged();
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, textIn(text) ?? '']));
}

function numberIn(value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw damaged();
}

function textIn(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw damaged();
}

function damaged(): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `gcp: the annotation ${documentKey} is not what was written.`, {
    provider: 'gcp',
    remedy: `Somebody edited the annotation \`${documentKey}\` of the secret: bring it back, or remove it.`,
  });
}
