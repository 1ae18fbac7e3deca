import { coreError } from '@mnops/core';
import { vaultInvalid } from './vault-request.js';

/** Tags of ours begin so; Key Vault has no other place for these facts. */
const own = 'mnops-';
const notePrefix = `${own}note-`;
const maxTags = 15;
const maxTagLength = 256;
const maxValueLength = 25_000;
const base64Mark = ';encoding=base64';

/** One version of a secret, as the vault describes it. */
export interface VaultSecret {
  readonly name: string;
  /** The vault's own id; absent in lists of secrets. */
  readonly id: string | undefined;
  /** Id that users see: of the version that this one is a copy of, or its own. */
  readonly version: string;
  readonly value: string | undefined;
  readonly contentType: string | undefined;
  readonly enabled: boolean;
  readonly notBeforeMs: number | undefined;
  readonly expiresAtMs: number | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly deletedAtMs: number | undefined;
  readonly facts: VaultFacts;
}

/** What is kept in tags. */
export interface VaultFacts {
  readonly tags: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly copyOf?: string | undefined;
  /** Version with stage `previous`; `null`: none; absent: another program wrote this version. */
  readonly previous?: string | null | undefined;
  readonly token?: string | undefined;
  /** Epoch milliseconds of the first version. */
  readonly firstMs?: number | undefined;
  /** Whether the expiry in the vault counts no more: it can be moved there, but not taken away. */
  readonly expiryRemoved?: boolean | undefined;
}

/** Facts as tags. Refuses what the vault would not keep. */
export function tagsOf(facts: VaultFacts): Record<string, string> {
  const { tags, annotations, copyOf, previous, token, firstMs, expiryRemoved } = facts;
  const entries: [string, string | undefined][] = [
    ...Object.entries(tags),
    ...Object.entries(annotations).map(([name, text]): [string, string] => [`${notePrefix}${name}`, text]),
    [`${own}version`, copyOf],
    [`${own}previous`, previous === null ? 'none' : previous],
    [`${own}token`, token],
    [`${own}created`, firstMs === undefined ? undefined : String(firstMs)],
    [`${own}expiry`, expiryRemoved === true ? 'none' : undefined],
  ];
  const kept = entries.filter((entry): entry is [string, string] => entry[1] !== undefined);
  const tooLong = kept.some(([name, text]) => name.length > maxTagLength || text.length > maxTagLength);
  const taken = Object.keys(tags).some((name) => name.startsWith(own));
  if (kept.length <= maxTags && !tooLong && !taken) return Object.fromEntries(kept);
  const why = taken ? `a name that begins with ${own}` : tooLong ? 'a longer one' : `${kept.length}`;
  const message = `azure: a secret has at most ${maxTags} tags of ${maxTagLength} characters, 4 to 6 of them ours; received ${why}.`;
  throw coreError('MNOPS_CORE_TOO_LARGE', message, { provider: 'azure', remedy: 'Use fewer or shorter tags.' });
}

/** Checks an answer that describes a version, or an item of a list. */
export function vaultSecretOf(value: unknown, operation: string): VaultSecret {
  const fields = recordOf(value, operation, 'object');
  const attributes = recordOf(fields['attributes'], operation, 'attributes');
  const [, name, id] =
    /\/(?:secrets|deletedsecrets)\/([0-9A-Za-z-]+)(?:\/([0-9a-f]{32}))?$/.exec(String(fields['id'])) ?? [];
  if (name === undefined) throw vaultInvalid(operation, 'id');
  const facts = factsOf(recordOf(fields['tags'] ?? {}, operation, 'tags'));
  const createdAtMs = millisecondsOf(attributes['created']);
  if (createdAtMs === undefined) throw vaultInvalid(operation, 'attributes.created');
  return {
    name,
    id,
    version: facts.copyOf ?? id ?? '',
    value: textOf(fields['value']),
    contentType: textOf(fields['contentType']),
    enabled: attributes['enabled'] !== false,
    notBeforeMs: millisecondsOf(attributes['nbf']),
    expiresAtMs: facts.expiryRemoved === true ? undefined : millisecondsOf(attributes['exp']),
    createdAtMs,
    updatedAtMs: millisecondsOf(attributes['updated']) ?? createdAtMs,
    deletedAtMs: millisecondsOf(fields['deletedDate']),
    facts,
  };
}

function factsOf(record: Readonly<Record<string, unknown>>): VaultFacts {
  const all = Object.entries(record).map(([name, text]): [string, string] => [name, String(text)]);
  const ours = new Map(all.filter(([name]) => name.startsWith(own)));
  const notes = [...ours].filter(([name]) => name.startsWith(notePrefix));
  const previous = ours.get(`${own}previous`);
  const firstMs = Number(ours.get(`${own}created`));
  return {
    tags: Object.fromEntries(all.filter(([name]) => !name.startsWith(own))),
    annotations: Object.fromEntries(notes.map(([name, text]) => [name.slice(notePrefix.length), text])),
    copyOf: ours.get(`${own}version`),
    previous: previous === 'none' ? null : previous,
    token: ours.get(`${own}token`),
    firstMs: firstMs > 0 ? firstMs : undefined,
    expiryRemoved: ours.get(`${own}expiry`) === 'none',
  };
}

/** A value as the vault's text: bytes that are not UTF-8 go as base64, and the content type says so. */
export function encodedValue(
  path: string,
  bytes: Uint8Array,
  contentType: string | undefined,
): { readonly value: string; readonly contentType: string | undefined } {
  const text = Buffer.from(bytes).toString('utf8');
  const isText = Buffer.from(text).equals(bytes) && contentType?.endsWith(base64Mark) !== true;
  const value = isText ? text : Buffer.from(bytes).toString('base64');
  if (value.length > maxValueLength) {
    const message = `azure: the value for ${path} takes ${value.length} characters, over ${maxValueLength}.`;
    throw coreError('MNOPS_CORE_TOO_LARGE', message, { provider: 'azure', details: { path } });
  }
  return { value, contentType: isText ? contentType : `${contentType ?? 'application/octet-stream'}${base64Mark}` };
}

/** The bytes and content type of a version that was read with its value. */
export function decodedValue(
  secret: VaultSecret,
  operation: string,
): { readonly value: Uint8Array; readonly contentType: string | undefined } {
  const { value, contentType } = secret;
  if (value === undefined) throw vaultInvalid(operation, 'value');
  if (contentType?.endsWith(base64Mark) !== true) return { value: Buffer.from(value), contentType };
  const type = contentType.slice(0, -base64Mark.length);
  return { value: Buffer.from(value, 'base64'), contentType: type };
}

/** Checks that a part of an answer is an object. */
export function recordOf(value: unknown, operation: string, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw vaultInvalid(operation, what);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function millisecondsOf(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}
