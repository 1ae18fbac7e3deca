import type { LogLevel } from '@mnops/core/spi';

/** The npm levels in order of urgency: a logger at one of them writes it and everything before it. */
export const levelNames: readonly LogLevel[] = ['error', 'warn', 'info', 'http', 'verbose', 'debug', 'silly'];

/** Place in `levelNames`; a lower rank is more urgent. */
export const levelRanks: Readonly<Record<LogLevel, number>> = {
  error: 0,
  warn: 1,
  info: 2,
  http: 3,
  verbose: 4,
  debug: 5,
  silly: 6,
};

/** Rank that lets nothing pass. */
export const silentRank = -1;

/** OpenTelemetry severity numbers (log data model, SeverityNumber) of the npm levels, by rank. */
export const severityNumbers: readonly number[] = [17, 13, 9, 7, 6, 5, 1];

/** Names that other programs use, as npm level and OpenTelemetry severity number (data model, appendix B). */
const foreignLevels: ReadonlyMap<string, readonly [LogLevel, number]> = new Map([
  ['emerg', ['error', 21]],
  ['emergency', ['error', 21]],
  ['panic', ['error', 21]],
  ['fatal', ['error', 21]],
  ['alert', ['error', 19]],
  ['crit', ['error', 18]],
  ['critical', ['error', 18]],
  ['err', ['error', 17]],
  ['severe', ['error', 17]],
  ['warning', ['warn', 13]],
  ['notice', ['info', 10]],
  ['information', ['info', 9]],
  ['informational', ['info', 9]],
  ['log', ['info', 9]],
  ['fine', ['debug', 5]],
  ['dbg', ['debug', 5]],
  ['trace', ['silly', 1]],
  ['finest', ['silly', 1]],
] as const);

/** Whether a text is one of the npm levels. */
export function isLogLevel(value: unknown): value is LogLevel {
  return typeof value === 'string' && Object.hasOwn(levelRanks, value);
}

/** Level of an OpenTelemetry severity number. */
export function levelOfSeverity(severityNumber: number): LogLevel {
  if (severityNumber >= 17) return 'error';
  if (severityNumber >= 13) return 'warn';
  if (severityNumber >= 9) return 'info';
  if (severityNumber >= 7) return 'http';
  if (severityNumber === 6) return 'verbose';
  return severityNumber >= 5 ? 'debug' : 'silly';
}

/**
 * Level and severity number behind a level as some program wrote it: a name in any case, or pino's numbers
 * (10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal). `undefined` when it is neither.
 */
export function parseLevel(value: unknown): { readonly level: LogLevel; readonly severityNumber: number } | undefined {
  if (typeof value === 'number') return pinoLevel(value);
  if (typeof value !== 'string' || value.length > 16) return undefined;
  const name = value.toLowerCase();
  if (isLogLevel(name)) return { level: name, severityNumber: severityNumbers[levelRanks[name]] ?? 0 };
  const foreign = foreignLevels.get(name);
  return foreign && { level: foreign[0], severityNumber: foreign[1] };
}

function pinoLevel(value: number): { readonly level: LogLevel; readonly severityNumber: number } | undefined {
  switch (value) {
    case 10:
      return { level: 'silly', severityNumber: 1 };
    case 20:
      return { level: 'debug', severityNumber: 5 };
    case 30:
      return { level: 'info', severityNumber: 9 };
    case 40:
      return { level: 'warn', severityNumber: 13 };
    case 50:
      return { level: 'error', severityNumber: 17 };
    case 60:
      return { level: 'error', severityNumber: 21 };
    default:
      return undefined;
  }
}
