import { configError, countSchema, durationMsSchema } from '@mnops/core/config';
import * as v from 'valibot';

/** What is kept on disk for spans that are not delivered yet; per exporter and process. */
export interface SpoolConfig {
  /** Beyond, the oldest segment goes. Default 256 MiB; at least 1 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds for which an undelivered span is kept on disk. Default 86_400_000, a day. */
  readonly maxAgeMs?: number | undefined;
  /** Milliseconds after which an undelivered span is on disk: what a killed process may lose. Default 1_000; at least 10. */
  readonly intervalMs?: number | undefined;
  /** Each write survives a power loss too, not only the end of the process. Default false. */
  readonly fsync?: boolean | undefined;
}

/** The option `folder`. */
export const folderSchema: v.GenericSchema<string | undefined> = v.optional(v.pipe(v.string(), v.nonEmpty()));

/** The option `spool`. */
export const spoolSchema: v.GenericSchema<SpoolConfig | false | undefined> = v.optional(
  v.union([
    v.literal(false),
    v.strictObject({
      maxBytes: v.optional(v.pipe(countSchema, v.minValue(1_048_576))),
      maxAgeMs: v.optional(durationMsSchema),
      intervalMs: v.optional(v.pipe(durationMsSchema, v.minValue(10))),
      fsync: v.optional(v.boolean()),
    }),
  ]),
);

/** A spool with every default filled in. */
export interface ResolvedSpool {
  /** `spool` in the manager's folder. */
  readonly folder: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly intervalMs: number;
  readonly fsync: boolean;
}

/** Fills in the defaults; `undefined` without a folder, and where the spool is off. */
export function resolveSpool(
  owner: string,
  folder: string | undefined,
  spool: SpoolConfig | false | undefined,
): ResolvedSpool | undefined {
  if (spool === false) return undefined;
  if (folder === undefined) {
    if (spool === undefined) return undefined;
    throw configError(owner, [
      {
        field: 'spool',
        expected: 'a `folder` beside it',
        received: 'none',
        remedy: 'Give `folder`, where the spool keeps undelivered spans.',
      },
    ]);
  }
  return {
    folder: `${folder}/spool`,
    maxBytes: spool?.maxBytes ?? 268_435_456,
    maxAgeMs: spool?.maxAgeMs ?? 86_400_000,
    intervalMs: spool?.intervalMs ?? 1_000,
    fsync: spool?.fsync ?? false,
  };
}
