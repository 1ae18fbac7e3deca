import type { Clock, LogLevel, NewLogEntry, ServiceIdentity } from '@mnops/core/spi';
import type { LogConfig } from '../log-config.js';
import { logContext } from './context.js';
import { fieldEncoder } from './encode-json.js';
import { levelRules } from './level-rules.js';
import { levelNames } from './levels.js';
import { entryLine, resourceText } from './line.js';
import type { LoggerShared } from './logger.js';
import { compileRedaction } from './redact.js';
import { timestampText } from './timestamp.js';

/** Counters of log calls. */
export interface LoggerCounters {
  readonly written: Record<LogLevel, number>;
  redacted: number;
  placeholders: number;
  failed: number;
}

/** What the loggers of a manager share, and the encoding of whole entries. */
export interface LoggerCore {
  readonly shared: LoggerShared;
  readonly counters: LoggerCounters;
  encode(entry: NewLogEntry): string;
}

const defaultEntryBytes = 262_144;

/** Puts together what loggers work with. */
export function loggerCore(
  config: LogConfig,
  service: ServiceIdentity,
  clock: Clock,
  emit: (line: string) => void,
): LoggerCore {
  const written = Object.fromEntries(levelNames.map((level) => [level, 0])) as Record<LogLevel, number>;
  const counters: LoggerCounters = { written, redacted: 0, placeholders: 0, failed: 0 };
  const byRank = new Float64Array(levelNames.length);
  const { entryBytes = defaultEntryBytes, attributes = 256, depth = 8 } = config.limits ?? {};
  const redactor = compileRedaction(config.redact, () => {
    counters.redacted += 1;
  });
  const encoder = fieldEncoder({ depth, attributes, characters: entryBytes }, redactor, counters);
  const stamp = timestampText();
  return {
    shared: {
      rules: levelRules(config.level ?? 'info'),
      encoder,
      context: logContext(encoder),
      resource: resourceText(service, encoder),
      maxLineBytes: entryBytes,
      now: () => clock.now(),
      stamp,
      emit(line, rank) {
        byRank[rank] = (byRank[rank] ?? 0) + 1;
        emit(line);
      },
      failed: () => {
        counters.failed += 1;
      },
    },
    get counters() {
      for (const [rank, level] of levelNames.entries()) written[level] = byRank[rank] ?? 0;
      return counters;
    },
    encode: entryLine(encoder, stamp, entryBytes),
  };
}
