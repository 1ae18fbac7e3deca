import { randomBytes } from 'node:crypto';
import { coreError } from '@mnops/core';
import { type KeyRing, open, openEnvelope, seal, sealEnvelope } from '@mnops/core/crypto';
import type { Call, KeyWrapper } from '@mnops/core/spi';
import { isMutation, type Mutation } from '../../store/mutation.js';

/** First bytes of a vault file, and the version of what its records hold. */
export const vaultMagic = 'MNVAULT1';
export const vaultVersion = 1;

const keyRecord = 1;
const changeRecord = 2;
const idBytes = 16;
const keyRecordHead: number = 1 + idBytes + 8;

/** What opens the records of one vault file. */
export interface VaultKeys {
  /** Random name of the vault; it stays through compaction, backup and restore. */
  readonly vaultId: Uint8Array;
  /** Seals the records of this very file; compaction makes a new one. */
  readonly recordKey: Uint8Array;
}

/** One change as a record holds it. */
export interface VaultChange {
  readonly mutation: Mutation;
  /** Envelope of the value, where the change brings one. */
  readonly envelope?: Uint8Array | undefined;
  /** Path of the change before, so that its loss can be told by name. */
  readonly after?: string | undefined;
}

/** Makes the keys of a new file, with the record that holds them for whoever has the wrapping key. */
export async function newKeyRecord(
  wrapper: KeyWrapper,
  call: Call,
  vaultId: Uint8Array = randomBytes(idBytes),
): Promise<{ readonly keys: VaultKeys; readonly record: Uint8Array }> {
  const recordKey = randomBytes(32);
  const envelope = await sealEnvelope(wrapper, recordKey, ['mnops-vault-key', vaultVersion, vaultId], call);
  const head = Buffer.alloc(keyRecordHead);
  head[0] = keyRecord;
  head.set(vaultId, 1);
  head.writeBigUInt64BE(BigInt(Date.now()), 1 + idBytes);
  return { keys: { vaultId, recordKey }, record: Buffer.concat([head, envelope]) };
}

/** Whether a record holds the file's keys. */
export function isKeyRecord(payload: Uint8Array): boolean {
  return payload[0] === keyRecord && payload.length > keyRecordHead;
}

/** @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` or `MNOPS_CORE_INTEGRITY`. */
export async function openKeyRecord(keys: KeyRing | KeyWrapper, payload: Uint8Array, call: Call): Promise<VaultKeys> {
  const vaultId = Uint8Array.from(payload.subarray(1, 1 + idBytes));
  const envelope = payload.subarray(keyRecordHead);
  const recordKey = await openEnvelope(keys, envelope, ['mnops-vault-key', vaultVersion, vaultId], call);
  return { vaultId, recordKey };
}

/** A change as a record, bound to its vault and to its place in the file. */
export function encodeChange(
  keys: VaultKeys,
  sequence: number,
  { mutation, envelope, after }: VaultChange,
): Uint8Array {
  const json = Buffer.from(JSON.stringify({ ...mutation, after }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  const plaintext = Buffer.concat([length, json, envelope ?? Buffer.alloc(0)]);
  return Buffer.concat([Buffer.of(changeRecord), seal(keys.recordKey, plaintext, place(keys, sequence))]);
}

/** @throws {MnopsError} `MNOPS_CORE_INTEGRITY` when the record was changed or stands in another place. */
export function decodeChange(keys: VaultKeys, sequence: number, payload: Uint8Array): VaultChange {
  if (payload[0] !== changeRecord) throw damaged();
  const opened = open(keys.recordKey, payload.subarray(1), place(keys, sequence));
  const bytes = Buffer.from(opened.buffer, opened.byteOffset, opened.byteLength);
  const jsonEnd = bytes.length < 4 ? 0 : 4 + bytes.readUInt32BE(0);
  if (jsonEnd === 0 || jsonEnd > bytes.length) throw damaged();
  const { after, ...mutation } = JSON.parse(bytes.toString('utf8', 4, jsonEnd)) as { readonly after?: unknown };
  if (!isMutation(mutation)) throw damaged();
  const envelope = jsonEnd === bytes.length ? undefined : Buffer.from(bytes.subarray(jsonEnd));
  return { mutation, envelope, after: typeof after === 'string' ? after : undefined };
}

/** Seals a value for one version of one secret. */
export function sealValue(
  wrapper: KeyWrapper,
  vaultId: Uint8Array,
  { path, version, value }: { readonly path: string; readonly version: number; readonly value: Uint8Array },
  call: Call,
): Promise<Uint8Array> {
  return sealEnvelope(wrapper, value, ['mnops-vault-value', vaultVersion, vaultId, path, version], call);
}

/** @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` or `MNOPS_CORE_INTEGRITY`. */
export function openValue(
  keys: KeyRing | KeyWrapper,
  vaultId: Uint8Array,
  { path, version, envelope }: { readonly path: string; readonly version: number; readonly envelope: Uint8Array },
  call: Call,
): Promise<Uint8Array> {
  return openEnvelope(keys, envelope, ['mnops-vault-value', vaultVersion, vaultId, path, version], call);
}

function place({ vaultId }: VaultKeys, sequence: number): (string | Uint8Array | number)[] {
  return ['mnops-vault-record', vaultVersion, vaultId, sequence];
}

function damaged(): Error {
  return coreError('MNOPS_CORE_INTEGRITY', 'A record of the vault is not of a known form.');
}
