import { Writable } from 'node:stream';
import { configError } from '@mnops/core/config';
import type { LogLevel } from '@mnops/core/spi';
import { createLogger, type LoggerOptions, type Logger as WinstonLogger } from 'winston';
import type { Logger } from '../logger/logger.js';
import { callOfInfo, type WinstonInfo } from './info-entry.js';

/** What of a `LogAggregationManager` a transport needs. */
export interface WinstonTarget {
  logger(name: string): Logger;
}

/** How a transport writes. */
export interface MnopsTransportOptions {
  /** Name of the logger that the entries belong to. Default `winston`. */
  readonly name?: string | undefined;
  /** Least urgent level that is taken. Default: the winston logger's. */
  readonly level?: string | undefined;
}

/** A winston transport. */
export interface MnopsTransport extends Writable {
  /** Least urgent level that is taken; may be changed. */
  level?: string;
  /** Takes one info; winston asks for it to tell a transport of today from a legacy one. */
  log(info: object, next: () => void): void;
}

/** How a winston logger is made: winston's own options, without `transports`, and the name of our logger. */
export interface CreateWinstonLoggerOptions extends Omit<LoggerOptions, 'transports'> {
  /** Name of the logger that the entries belong to. Default `winston`. */
  readonly name?: string | undefined;
}

/** What winston sets on a logger that a transport is piped from. */
interface Piping {
  readonly levels?: Readonly<Record<string, number>>;
  readonly level?: string;
}

/**
 * A transport that hands every entry to a manager within the call, so that its delivery is the manager's: with
 * `processHooks` nothing is lost at an exit, an uncaught error or a signal.
 */
export function mnopsTransport(manager: WinstonTarget, options: MnopsTransportOptions = {}): MnopsTransport {
  const write = entryWriter(manager.logger(options.name ?? 'winston'));
  let parent: Piping | undefined;
  const take = (info: object, next: () => void): void => {
    const entry = info as WinstonInfo;
    if (isTaken(entry, transport.level ?? parent?.level, parent?.levels)) write(entry);
    next();
  };
  const stream = new Writable({
    objectMode: true,
    // Never full: an entry is taken before the call returns, so winston never has to queue.
    highWaterMark: 65_536,
    write: (info: object, _encoding, done) => take(info, done),
  });
  const transport: MnopsTransport = Object.assign(stream, { log: take });
  if (options.level !== undefined) transport.level = options.level;
  transport.on('pipe', (source: unknown) => {
    parent = source as Piping;
  });
  return transport;
}

function isTaken(
  info: WinstonInfo,
  level: string | undefined,
  levels: Readonly<Record<string, number>> | undefined,
): boolean {
  if (level === undefined || levels === undefined) return true;
  const own = levels[String(info[Symbol.for('level')] ?? info['level'])];
  const least = levels[level];
  return own === undefined || least === undefined || own <= least;
}

/**
 * A winston logger whose entries go to a manager within the call. Its own streams are passed by: they hold entries back
 * until a later turn, which a process that ends does not have. Transports added later get what they always got.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for `transports`, which would have to be left out.
 */
export function createWinstonLogger(manager: WinstonTarget, options: CreateWinstonLoggerOptions = {}): WinstonLogger {
  refuseTransports(options);
  const { name = 'winston', ...winstonOptions } = options;
  const transport = mnopsTransport(manager, { name });
  const logger = createLogger({ ...winstonOptions, transports: [transport] });
  const write = entryWriter(manager.logger(name));
  const streamed = logger.write.bind(logger) as (info: unknown, ...rest: never[]) => boolean;
  const direct = (info: unknown, ...rest: never[]): boolean => {
    if (logger.transports.length !== 1 || logger.transports[0] !== (transport as unknown))
      return streamed(info, ...rest);
    if (logger.silent || !isTaken(info as WinstonInfo, logger.level, logger.levels)) return true;
    const shaped = format(logger, info as WinstonInfo);
    if (shaped !== undefined) write(shaped);
    return true;
  };
  logger.write = direct as typeof logger.write;
  return logger;
}

/** Left out without a word, they would be missed when they are needed. */
function refuseTransports(options: object): void {
  const { transports } = options as { readonly transports?: unknown };
  if (transports === undefined) return;
  throw configError('createWinstonLogger', [
    {
      field: 'transports',
      expected: 'no such option',
      received: Array.isArray(transports) ? 'array' : typeof transports,
      remedy:
        'Add others with `logger.add(transport)`, or call `winston.createLogger` with `mnopsTransport(logs)` among them.',
    },
  ]);
}

/** Runs the logger's format, as winston would; a format that fails leaves the entry as it was. */
function format(logger: WinstonLogger, info: WinstonInfo): WinstonInfo | undefined {
  const shape = logger.format;
  if (shape === undefined || shape === null) return info;
  try {
    const shaped = shape.transform(info as never, shape.options);
    return typeof shaped === 'object' ? (shaped as unknown as WinstonInfo) : undefined;
  } catch {
    return info;
  }
}

function entryWriter(logger: Logger): (info: WinstonInfo) => void {
  return (info) => {
    try {
      const { level, message, attributes } = callOfInfo(info);
      const method: LogLevel = level;
      if (attributes === undefined) logger[method](message);
      else logger[method](message, attributes);
    } catch {
      // An info that cannot be read at all: the application goes on.
    }
  };
}
