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
const hashSuffix = /,"hash":"([0-9a-f]{64})"\}$/;

/** End of a chain: what the next entry goes on from. */
export interface ChainHead {
  readonly sequence: number;
  readonly hash: string;
}

/** An event that was checked and waits for its place in the chain. */
export interface PreparedEvent {
  /** The part of its text that does not depend on the place. */
  readonly middle: string;
}

/** An entry with its place. */
export interface PlacedEntry {
  readonly kind: ParsedEntry['kind'];
  readonly line: string;
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

/**
 * Checks an event and writes what does not depend on its place.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` naming the field.
 */
export function prepareEvent(event: AuditEvent, service: string, atMs: number): PreparedEvent {
  const { actor, operation, target, outcome, code, details } = event;
  checkText('actor', actor);
  checkText('operation', operation);
  checkText('target', target);
  if (outcome !== 'ok' && outcome !== 'denied' && outcome !== 'failed')
    throw refused('outcome', 'ok, denied or failed');
  if (code !== undefined) checkText('code', code);
  let middle =
    `"at":"${new Date(atMs).toISOString()}","service":${JSON.stringify(service)},"actor":${JSON.stringify(actor)},` +
    `"operation":${JSON.stringify(operation)},"target":${JSON.stringify(target)},"outcome":"${outcome}"`;
  if (code !== undefined) middle += `,"code":${JSON.stringify(code)}`;
  if (details !== undefined) {
    const text = canonicalJson(details);
    if (Buffer.byteLength(text) > mostDetailsBytes)
      throw refused('details', `at most ${mostDetailsBytes} bytes of JSON`);
    middle += `,"details":${text}`;
  }
  return { middle };
}

/** The event in its place. */
export function placeEvent(prepared: PreparedEvent, writer: string, head: ChainHead): PlacedEntry {
  return close('event', writer, head, prepared.middle);
}

/** An entry of the chain's own in its place. */
export function placeOwn(
  kind: 'opened' | 'checkpoint',
  fields: Readonly<Record<string, JsonValue>>,
  atMs: number,
  writer: string,
  head: ChainHead,
): PlacedEntry {
  return close(kind, writer, head, canonicalJson({ at: new Date(atMs).toISOString(), ...fields }).slice(1, -1));
}

function close(kind: ParsedEntry['kind'], writer: string, before: ChainHead, middle: string): PlacedEntry {
  const sequence = before.sequence + 1;
  const body = `{"kind":"${kind}","writer":"${writer}","sequence":${sequence},${middle},"previousHash":"${before.hash}"`;
  const digest = hashOf(`${body}}`);
  return { kind, line: `${body},"hash":"${digest}"}`, head: { sequence, hash: digest } };
}

/** SHA-256 of a text in UTF-8, in hexadecimal. */
export function hashOf(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The entry in a line, or `undefined` when the line is no entry or does not match its own hash. */
export function parseLine(line: string): ParsedEntry | undefined {
  const found = hashSuffix.exec(line);
  if (found === null) return undefined;
  const body = `${line.slice(0, found.index)}}`;
  if (hashOf(body) !== found[1]) return undefined;
  try {
    const fields = JSON.parse(body) as Record<string, JsonValue>;
    const { kind, writer, sequence, at, previousHash } = fields;
    if (kind !== 'opened' && kind !== 'event' && kind !== 'checkpoint') return undefined;
    if (typeof writer !== 'string' || typeof sequence !== 'number') return undefined;
    if (typeof at !== 'string' || typeof previousHash !== 'string') return undefined;
    return { kind, writer, sequence, at, previousHash, hash: found[1] as string, fields };
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
