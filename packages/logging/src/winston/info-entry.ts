import type { LogLevel } from '@mnops/core/spi';
import { isError } from '../logger/error-fields.js';
import { parseLevel } from '../logger/levels.js';

/** What winston hands to a transport: text fields, and symbols for the level and the arguments of the call. */
export type WinstonInfo = Record<string | symbol, unknown>;

/** A winston info as a call of our logger. */
export interface InfoCall {
  readonly level: LogLevel;
  readonly message: string;
  readonly attributes: object | undefined;
}

// triple-beam's symbols, which are registered ones.
const levelKey = Symbol.for('level');
const splatKey = Symbol.for('splat');

/**
 * Reads an info so that nothing of the call is lost: an error in any place becomes the attribute `error`, fields of the
 * call win over the logger's `defaultMeta`, and a `message` among them is an attribute instead of being glued to the text.
 */
export function callOfInfo(info: WinstonInfo): InfoCall {
  const level = parseLevel(info[levelKey])?.level ?? parseLevel(info['level'])?.level ?? 'info';
  if (isError(info)) return { level, message: String(info['message'] ?? ''), attributes: { error: info } };
  const splat = info[splatKey];
  const meta: unknown = Array.isArray(splat) ? splat[0] : undefined;
  const { level: _, message: text, timestamp: __, splat: ___, stack, ...rest } = info as Record<string, unknown>;
  if (isError(text)) return { level, message: text.message, attributes: { ...rest, error: text } };
  const message = typeof text === 'string' ? text : textOf(text);
  if (isError(meta)) {
    const own = ownKeys(meta);
    const others = Object.fromEntries(Object.entries(rest).filter(([key]) => !own.has(key) && key !== 'cause'));
    return { level, message: withoutSuffix(message, meta.message), attributes: { ...others, error: meta } };
  }
  const fields = typeof meta === 'object' && meta !== null && !Array.isArray(meta) ? meta : undefined;
  const extra = stack === undefined || fields !== undefined ? rest : { ...rest, stack };
  const attributes = fields === undefined ? extra : { ...extra, ...safeFields(fields) };
  const glued = fields === undefined ? undefined : (attributes as Record<string, unknown>)['message'];
  return { level, message: typeof glued === 'string' ? withoutSuffix(message, glued) : message, attributes };
}

function safeFields(fields: object): object {
  try {
    return { ...fields };
  } catch {
    return {};
  }
}

function ownKeys(error: Error): ReadonlySet<string> {
  try {
    return new Set(Object.keys(error));
  } catch {
    return new Set();
  }
}

/** winston appends the message of an error or of the fields to the text of the call. */
function withoutSuffix(message: string, suffix: string): string {
  return message.endsWith(` ${suffix}`) ? message.slice(0, -suffix.length - 1) : message;
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '[Unprintable]';
  }
}
