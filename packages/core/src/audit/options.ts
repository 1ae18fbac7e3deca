import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { countSchema, durationMsSchema, functionSchema, textSchema } from '../config/schemas.js';
import type { AuditSink } from '../spi/audit.js';
import type { AuditCheckpoint } from './checkpoint.js';

/** Where audit records go. The option `audit` of every host that has one. */
export interface AuditOptions {
  /** Folder of the chains; it is made with mode 0700. Without it and `sink`, records are kept in memory only. */
  readonly folder?: string | undefined;
  /** Takes every entry too, or instead of the folder. */
  readonly sink?: AuditSink | undefined;
  /** Milliseconds after which records that nobody waits for are written. Default 50. */
  readonly flushMs?: number | undefined;
  /** Private Ed25519 key (PEM or a `KeyObject`) that signs checkpoints. Keep it where the log's writer cannot be replaced. */
  readonly signingKey?: KeyObject | string | undefined;
  /** Called with each checkpoint, to keep it where this process cannot change it later. */
  readonly anchor?: ((checkpoint: AuditCheckpoint) => Promise<void> | void) | undefined;
  /** Records kept in memory when there is no folder. Default 1,000. */
  readonly maxMemoryRecords?: number | undefined;
}

/** The entries of `AuditOptions`, for a host that has more of its own beside them. */
export const auditEntries: { readonly [K in keyof AuditOptions]-?: v.GenericSchema<AuditOptions[K]> } = {
  folder: v.optional(textSchema),
  sink: v.optional(
    v.custom<AuditSink>((value) => typeof (value as AuditSink | null)?.append === 'function', 'a sink with append'),
  ),
  flushMs: v.optional(durationMsSchema),
  signingKey: v.optional(v.custom<KeyObject | string>(isKey, 'a private Ed25519 key')),
  anchor: v.optional(functionSchema) as v.GenericSchema<AuditOptions['anchor']>,
  maxMemoryRecords: v.optional(countSchema),
};

/** The `audit` option of a host, for its own schema: settings, or `false` for none. */
export const auditSchema: v.GenericSchema<AuditOptions | false> = v.union([
  v.literal(false),
  v.strictObject(auditEntries),
]) as v.GenericSchema<AuditOptions | false>;

function isKey(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  return (value as KeyObject | null | undefined)?.type === 'private';
}
