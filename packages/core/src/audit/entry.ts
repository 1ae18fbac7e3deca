import { hash } from 'node:crypto';
import { canonicalJson } from '../crypto/canonical-json.js';
import { coreError } from '../errors/core-error.js';
import type { AuditEvent, AuditRecord } from '../spi/audit.js';
import type { JsonValue } from '../spi/base.js';

/** Name and version of the format, in the first entry of each chain. */
export const auditFormat = 'mnops-audit-1';
/** What the first entry of a chain has as hash of the one before. */
export const noHash: string = '0'.repeat(64);
const mostTextLength = 1_024;
const mostDetailsBytes = 16_384;
/** How each line ends: the member `hash` and the closing brace. */
export const hashMember = ',"hash":"';
/** Length of `hash` with its value and of the brace. */
export const hashTailLength: number = hashMember.length + 64 + '"}'.length;

/** End of a chain: what the next entry goes on from. */
export interface ChainHead {
  readonly sequence: number;
  readonly hash: string;
}

/** An entry with its place. */
export interface PlacedEntry {
  /** What is hashed: the line without `hash`. */
  readonly body: string;
  /** End of the chain with this entry. */
  readonly head: ChainHead;
}

/** What an entry says beside its place. */
export interface ParsedEntry {
  readonly kind: 'opened' | 'event' | 'checkpoint';
  readonly writer: string;
  readonly sequence: number;
  readonly at: string;
  readonly previousHash: string;
  readonly hash: string;
  readonly fields: Readonly<Record<string, JsonValue>>;
}

/** What the events of one log have in common. */
export interface EventTexts {
  /**
   * Checks an event and writes what does not depend on its place.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` naming the field.
   */
  middleOf(event: AuditEvent, atMs: number): string;
}

/** The texts of the events of one service. */
export function eventTexts(service: string): EventTexts {
  const serviceText = JSON.stringify(service);
  const timeOf = timeTexts();
  return {
    middleOf: ({ actor, operation, target, outcome, code, details }, atMs) => {
      checkText('actor', actor);
      checkText('operation', operation);
      checkText('target', target);
      if (outcome !== 'ok' && outcome !== 'denied' && outcome !== 'failed')
        throw refused('outcome', 'ok, denied or failed');
      let middle =
        `"at":"${timeOf(atMs)}","service":${serviceText},"actor":${JSON.stringify(actor)},` +
        `"operation":${JSON.stringify(operation)},"target":${JSON.stringify(target)},"outcome":"${outcome}"`;
      if (code !== undefined) {
        checkText('code', code);
        middle += `,"code":${JSON.stringify(code)}`;
      }
      if (details !== undefined) middle += `,"details":${detailsText(details)}`;
      return middle;
    },
  };
}

function detailsText(details: unknown): string {
  const text = canonicalJson(details);
  // No UTF-16 code unit takes more than three bytes.
  if (text.length * 3 > mostDetailsBytes && Buffer.byteLength(text) > mostDetailsBytes)
    throw refused('details', `at most ${mostDetailsBytes} bytes of JSON`);
  return text;
}

/** Times in ISO 8601. Most come in the same second as the one before: only its milliseconds are written anew. */
export function timeTexts(): (atMs: number) => string {
  let second = Number.NaN;
  let untilSecond = '';
  return (atMs) => {
    const whole = Math.floor(atMs / 1_000);
    if (whole !== second) {
      untilSecond = new Date(whole * 1_000).toISOString().slice(0, -'000Z'.length);
      second = whole;
    }
    return `${untilSecond}${String(Math.floor(atMs - whole * 1_000)).padStart(3, '0')}Z`;
  };
}

/** The middle of an entry of the chain's own. */
export function ownMiddle(fields: Readonly<Record<string, JsonValue>>, atMs: number): string {
  return canonicalJson({ at: new Date(atMs).toISOString(), ...fields }).slice(1, -1);
}

/** An entry in its place. */
export function placeEntry(
  kind: ParsedEntry['kind'],
  middle: string,
  writer: string,
  { sequence: last, hash: previousHash }: ChainHead,
): PlacedEntry {
  const sequence = last + 1;
  const body = `${entryStart(kind, writer)}${sequence},${middle},"previousHash":"${previousHash}"}`;
  return { body, head: { sequence, hash: hashOf(body) } };
}

/** The line of an entry, without the line break. */
export function lineOf({ body, head }: PlacedEntry): string {
  return `${body.slice(0, -1)}${hashMember}${head.hash}"}`;
}

/** The lines of entries as a file holds them. */
export function bytesOf(entries: readonly PlacedEntry[]): Buffer {
  let length = 0;
  for (const { body } of entries) length += Buffer.byteLength(body) + hashTailLength;
  const bytes = Buffer.allocUnsafe(length);
  let end = 0;
  for (const { body, head } of entries) {
    // The closing brace is written over: `hash` comes before it.
    end += bytes.write(body, end, 'utf8') - 1;
    end += bytes.write(`${hashMember}${head.hash}"}\n`, end, 'latin1');
  }
  return bytes;
}

/** What stands before the sequence number of an entry. */
export function entryStart(kind: ParsedEntry['kind'], writer: string): string {
  return `{"kind":"${kind}","writer":"${writer}","sequence":`;
}

/** SHA-256 of a text in UTF-8, in hexadecimal. */
export function hashOf(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The entry in a line, or `undefined` when the line is no entry or does not match its own hash. */
export function parseLine(line: string): ParsedEntry | undefined {
  const end = line.length - hashTailLength;
  if (end < 0 || !line.startsWith(hashMember, end) || !line.endsWith('"}')) return undefined;
  const body = `${line.slice(0, end)}}`;
  const digest = hashOf(body);
  if (!line.startsWith(digest, end + hashMember.length)) return undefined;
  try {
    const fields = JSON.parse(body) as Record<string, JsonValue>;
    const { kind, writer, sequence, at, previousHash } = fields;
    if (kind !== 'opened' && kind !== 'event' && kind !== 'checkpoint') return undefined;
    if (typeof writer !== 'string' || typeof sequence !== 'number') return undefined;
    if (typeof at !== 'string' || typeof previousHash !== 'string') return undefined;
    return { kind, writer, sequence, at, previousHash, hash: digest, fields };
  } catch {
    return undefined;
  }
}

/** The event of an entry, or `undefined` for an entry of the chain's own. */
export function recordOf(entry: ParsedEntry): AuditRecord | undefined {
  if (entry.kind !== 'event') return undefined;
  const { actor, operation, target, outcome, code, details, service } = entry.fields;
  const { writer, sequence, previousHash, hash } = entry;
  return {
    actor: String(actor),
    operation: String(operation),
    target: String(target),
    outcome: outcome as AuditRecord['outcome'],
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof details === 'object' && details !== null ? { details: details as Record<string, JsonValue> } : {}),
    service: String(service),
    writer,
    sequence,
    at: new Date(entry.at),
    previousHash,
    hash,
  };
}

function checkText(field: string, value: string): void {
  if (typeof value !== 'string' || value.length === 0 || value.length > mostTextLength) {
    throw refused(field, `text of 1 to ${mostTextLength} characters`);
  }
}

function refused(field: string, expected: string): Error {
  return coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid audit event: ${field} must be ${expected}.`, {
    details: { issues: [{ field, expected, received: 'something else', remedy: `Set \`${field}\` to ${expected}.` }] },
  });
}
