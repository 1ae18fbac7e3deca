import {
  type ConfigIssue,
  clockSchema,
  configError,
  countSchema,
  parseOptions,
  providerSchema,
  secretsSchema,
  serviceSchema,
  textSchema,
} from '@mnops/core/config';
import type { Clock, LogSource, SecretResolver, ServiceIdentity } from '@mnops/core/spi';
import * as v from 'valibot';
import type { LogFormat } from './formats/line-format.js';
import type { LevelSetting } from './logger/level-rules.js';
import { levelNames } from './logger/levels.js';
import type { RedactOptions } from './logger/redact.js';
import { formatSchema } from './sinks/format-schema.js';
import type { LineSink } from './sinks/sink.js';

/** Bounds of a manager. */
export interface LogLimits {
  /** Bytes of lines kept while a sink or the store does not take any, and before the start. Default 16 MiB. */
  readonly queueBytes?: number | undefined;
  /** Bytes of one line. Default 262,144; at least 1,024. */
  readonly entryBytes?: number | undefined;
  /** Attributes of an entry, and members of any object or list in it. Default 256. */
  readonly attributes?: number | undefined;
  /** Levels of nesting. Default 8. */
  readonly depth?: number | undefined;
}

/** How entries are kept for searching. */
export interface LogStoreConfig {
  /** Bytes of lines after which a block is sealed, for a store in a folder. Default 4 MiB. */
  readonly blockBytes?: number | undefined;
  /** Bytes of lines kept by a store in memory. Default 8 MiB. */
  readonly memoryBytes?: number | undefined;
}

/** What a `LogAggregationManager` is made from. Everything has a default. */
export interface LogConfig {
  /** Who writes. Unset fields come from `MNOPS_SERVICE` and its kin. */
  readonly service?: string | Partial<ServiceIdentity> | undefined;
  /** Where entries are kept. Unset: in memory only, bounded. */
  readonly folder?: string | undefined;
  /** A level for all loggers, or levels by selector (`{ '*': 'info', 'db.*': 'debug' }`). Default `info`. */
  readonly level?: LevelSetting | Readonly<Record<string, LevelSetting>> | undefined;
  /** How the lines of sinks look, unless a sink says so itself. Default `otel`. */
  readonly format?: LogFormat | undefined;
  /** What must never be written. It is removed before the line leaves the call. */
  readonly redact?: RedactOptions | undefined;
  /** Where lines go. Default: the console; an empty list: nowhere. */
  readonly sinks?: readonly LineSink[] | undefined;
  /** Sources that are collected from the start on, with default options. */
  readonly logSources?: readonly LogSource[] | undefined;
  /** The store, or `false` for none. */
  readonly store?: LogStoreConfig | false | undefined;
  readonly limits?: LogLimits | undefined;
  /** Resolves `secret://` references of sources. */
  readonly secrets?: SecretResolver | undefined;
  readonly clock?: Clock | undefined;
  /** Write everything out when the process exits, fails or gets a signal. Default false: no handler. */
  readonly processHooks?: boolean | undefined;
}

const setting = v.picklist([...levelNames, 'silent']);
const pattern = v.union([
  v.picklist(['email', 'card', 'bearer', 'aws-key']),
  v.custom<RegExp>((value) => value instanceof RegExp, 'a RegExp'),
]);
const schema = v.strictObject({
  service: v.optional(serviceSchema),
  folder: v.optional(textSchema),
  level: v.optional(v.union([setting, v.record(v.string(), setting)])),
  format: v.optional(formatSchema),
  redact: v.optional(
    v.strictObject({
      paths: v.optional(v.array(v.string())),
      patterns: v.optional(v.array(pattern)),
      replaceWith: v.optional(v.string()),
    }),
  ),
  sinks: v.optional(
    v.array(
      v.custom<LineSink>(
        (value) => typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'line-sink',
        'a sink such as consoleSink() or fileSink({ path })',
      ),
    ),
  ),
  logSources: v.optional(v.array(providerSchema<LogSource>('log-source', ['read']))),
  store: v.optional(
    v.union([
      v.literal(false),
      v.strictObject({ blockBytes: v.optional(countSchema), memoryBytes: v.optional(countSchema) }),
    ]),
  ),
  limits: v.optional(
    v.strictObject({
      queueBytes: v.optional(countSchema),
      entryBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1024))),
      attributes: v.optional(countSchema),
      depth: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))),
    }),
  ),
  secrets: v.optional(secretsSchema),
  clock: v.optional(clockSchema),
  processHooks: v.optional(v.boolean()),
});

/** Checks a configuration. Throws `MNOPS_CORE_CONFIG_INVALID` with every issue at once. */
export function checkedConfig(config: LogConfig): LogConfig {
  const checked = parseOptions('LogAggregationManager', schema, config) as LogConfig;
  const ids = new Set<string>();
  const issues: ConfigIssue[] = [];
  for (const [index, { id }] of (checked.sinks ?? []).entries()) {
    if (ids.has(id)) {
      const remedy = 'Remove one of them: every line would be written twice.';
      issues.push({
        field: `sinks[${index}]`,
        expected: 'each sink once',
        received: 'a second sink of one id',
        remedy,
      });
    }
    ids.add(id);
  }
  if (issues.length > 0) throw configError('LogAggregationManager', issues);
  return checked;
}
