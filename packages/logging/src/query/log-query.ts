import { type ConfigIssue, configError, parseOptions } from '@mnops/core/config';
import type { LogLevel, LogScalar, LogStoreQuery, LogTest } from '@mnops/core/spi';
import * as v from 'valibot';
import { levelNames, levelRanks, severityNumbers } from '../logger/levels.js';
import { positionOfCursor } from './position.js';
import { type TimeInput, timeOf } from './time-input.js';

/** What to find. All conditions given must hold. */
export interface LogQuery {
  /** First moment of the range. Default: the oldest entry. */
  readonly from?: TimeInput | undefined;
  /** First moment after the range. Default: no end. */
  readonly to?: TimeInput | undefined;
  /** Entries at least as urgent as this. */
  readonly level?: LogLevel | undefined;
  /** Entries of exactly these levels. */
  readonly levels?: readonly LogLevel[] | undefined;
  /** Tests by field: an attribute by key or path (`user.id`), or `service`, `logger`, `stream`, `message`, `level`, `resource.…`. */
  readonly where?: Readonly<Record<string, LogScalar | LogTest>> | undefined;
  /** Words that must all stand in the message or in a value; `"in quotes"` one after the other. Case does not matter. */
  readonly text?: string | undefined;
  /** Entries of one trace. */
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
  /** Default `newest-first`. */
  readonly sort?: 'newest-first' | 'oldest-first' | undefined;
  /** Entries of a page: default 100, at most 10,000. */
  readonly limit?: number | undefined;
  /** `next` of the page before. */
  readonly after?: string | undefined;
}

const scalar = v.union([v.string(), v.number(), v.boolean(), v.null()]);
const number = v.optional(v.pipe(v.number(), v.finite()));
const test = v.strictObject({
  not: v.optional(v.union([scalar, v.array(scalar)])),
  oneOf: v.optional(v.array(scalar)),
  gt: number,
  gte: number,
  lt: number,
  lte: number,
  contains: v.optional(v.string()),
  exists: v.optional(v.boolean()),
});
const time = v.optional(v.union([v.date(), v.number(), v.string()]));
const level = v.picklist(levelNames as readonly [LogLevel, ...LogLevel[]]);
const schema = v.strictObject({
  from: time,
  to: time,
  level: v.optional(level),
  levels: v.optional(v.array(level)),
  where: v.optional(v.record(v.string(), v.union([scalar, test]))),
  text: v.optional(v.string()),
  traceId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{32}$/))),
  spanId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{16}$/))),
  sort: v.optional(v.picklist(['newest-first', 'oldest-first'])),
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000))),
  after: v.optional(v.string()),
});

/** Checks a query and gives it the form that stores take. Throws `MNOPS_CORE_CONFIG_INVALID` with every issue. */
export function resolveQuery(query: LogQuery, nowMs: number, maxScanBytes: number): LogStoreQuery {
  const checked = parseOptions('query', schema, query);
  const issues: ConfigIssue[] = [];
  const moment = (field: 'from' | 'to'): number | undefined => {
    const given = checked[field];
    if (given === undefined) return undefined;
    const ms = timeOf(given, nowMs);
    if (ms !== undefined) return ms;
    const expected = 'a Date, epoch milliseconds, ISO text or an offset such as -15m';
    issues.push({ field, expected, received: 'something else', remedy: `Give \`${field}\` as ${expected}.` });
    return undefined;
  };
  const fromMs = moment('from');
  const toMs = moment('to');
  if (checked.after !== undefined && positionOfCursor(checked.after) === undefined) {
    const expected = 'the `next` of a page';
    issues.push({
      field: 'after',
      expected,
      received: 'a text that is no cursor',
      remedy: `Pass ${expected} unchanged.`,
    });
  }
  if (issues.length > 0) throw configError('query', issues);
  return {
    fromMs,
    toMs,
    minSeverity: checked.level === undefined ? undefined : severityNumbers[levelRanks[checked.level]],
    levels: checked.levels,
    where: checked.where as LogStoreQuery['where'],
    text: checked.text,
    traceId: checked.traceId?.toLowerCase(),
    spanId: checked.spanId?.toLowerCase(),
    sort: checked.sort ?? 'newest-first',
    limit: checked.limit ?? 100,
    after: checked.after,
    maxScanBytes,
  };
}
