import { type ConfigIssue, configError } from '@mnops/core/config';
import type { LogAttributes, LogLevel, NewLogEntry } from '@mnops/core/spi';
import { isSpanId, isTraceId } from './logger/context.js';
import { isLogLevel, levelRanks, severityNumbers } from './logger/levels.js';
import { type TimeInput, timeOf } from './query/time-input.js';

/** An entry to append. */
export interface LogEntryInput {
  readonly message: string;
  /** When it happened. Default: now. */
  readonly time?: TimeInput | undefined;
  /** Default `info`. */
  readonly level?: LogLevel | undefined;
  /** Values of any kind; they are encoded as those of a log call. */
  readonly attributes?: object | undefined;
  readonly logger?: string | undefined;
  /** Where it comes from. Default: the name of the host's service. */
  readonly stream?: string | undefined;
  /** 32 hexadecimal digits. */
  readonly traceId?: string | undefined;
  /** 16 hexadecimal digits. */
  readonly spanId?: string | undefined;
}

/** Checks entries and fills their defaults. Throws `MNOPS_CORE_CONFIG_INVALID` naming each wrong field. */
export function checkedEntries(
  inputs: Iterable<LogEntryInput>,
  defaults: { readonly nowMs: number; readonly stream: string; readonly resource: LogAttributes },
): NewLogEntry[] {
  const issues: ConfigIssue[] = [];
  const entries: NewLogEntry[] = [];
  let index = 0;
  for (const input of inputs) {
    const field = `entries[${index}]`;
    index += 1;
    const found = issuesOf(input, field, defaults.nowMs);
    issues.push(...found);
    if (found.length > 0 || issues.length > 0) continue;
    const { level = 'info', time, traceId, spanId, logger, stream = defaults.stream } = input;
    entries.push({
      stream,
      timeMs: time === undefined ? defaults.nowMs : (timeOf(time, defaults.nowMs) ?? defaults.nowMs),
      observedMs: defaults.nowMs,
      level,
      severityNumber: severityNumbers[levelRanks[level]] ?? 9,
      message: input.message,
      ...(logger !== undefined && { logger }),
      attributes: (input.attributes ?? {}) as LogAttributes,
      resource: defaults.resource,
      ...(traceId !== undefined && { traceId: traceId.toLowerCase() }),
      ...(spanId !== undefined && { spanId: spanId.toLowerCase() }),
    });
  }
  if (issues.length > 0) throw configError('append', issues.slice(0, 20));
  return entries;
}

/** Times that a Date can hold. */
const lastMs = 8.64e15;

function issuesOf(input: LogEntryInput, field: string, nowMs: number): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const wrong = (name: string, expected: string, value: unknown): void => {
    issues.push({ field: `${field}.${name}`, expected, received: typeof value, remedy: `Give ${expected}.` });
  };
  if (typeof input !== 'object' || input === null) {
    return [{ field, expected: 'an entry', received: typeof input, remedy: 'Give an object with a message.' }];
  }
  const { message, time, level, attributes, traceId, spanId } = input;
  if (typeof message !== 'string') wrong('message', 'a text', message);
  const timeMs = time === undefined ? nowMs : timeOf(time, nowMs);
  if (timeMs === undefined || Math.abs(timeMs) > lastMs) wrong('time', 'a Date, epoch milliseconds or ISO text', time);
  if (level !== undefined && !isLogLevel(level)) wrong('level', `one of ${Object.keys(levelRanks).join(', ')}`, level);
  if (attributes !== undefined && (typeof attributes !== 'object' || attributes === null)) {
    wrong('attributes', 'an object', attributes);
  }
  if (traceId !== undefined && !isTraceId(String(traceId).toLowerCase())) {
    wrong('traceId', '32 hexadecimal digits, not all zero', traceId);
  }
  if (spanId !== undefined && !isSpanId(String(spanId).toLowerCase())) {
    wrong('spanId', '16 hexadecimal digits, not all zero', spanId);
  }
  return issues;
}
