import type { Logger } from './logger.js';

const nothing = (): void => undefined;

/** A logger that writes nothing: the default of a library that takes a `Logger`. */
export const silentLogger: Logger = Object.freeze({
  name: '',
  level: 'silent',
  error: nothing,
  warn: nothing,
  info: nothing,
  http: nothing,
  verbose: nothing,
  debug: nothing,
  silly: nothing,
  child: () => silentLogger,
  isLevelEnabled: () => false,
});
