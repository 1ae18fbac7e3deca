import { countSchema } from '@mnops/core/config';
import * as v from 'valibot';

/** Bounds of the traces kept in `folder`. */
export interface DiskConfig {
  /** Bytes of all traces in the folder; beyond, the oldest go. Default 512 MiB. */
  readonly maxDiskBytes?: number | undefined;
  /** Milliseconds that traces stay in the folder. Default 24 hours. */
  readonly maxAgeMs?: number | undefined;
}

/** Checks of these options. */
export const diskSchema: {
  readonly maxDiskBytes: v.OptionalSchema<typeof countSchema, undefined>;
  readonly maxAgeMs: v.OptionalSchema<typeof countSchema, undefined>;
} = { maxDiskBytes: v.optional(countSchema), maxAgeMs: v.optional(countSchema) };

/** What they are when they are not given. */
export const diskDefaults: { readonly maxDiskBytes: number; readonly maxAgeMs: number } = {
  maxDiskBytes: 536_870_912,
  maxAgeMs: 86_400_000,
};
