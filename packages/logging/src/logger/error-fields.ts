import { types } from 'node:util';

/** Errors nested in each other deeper than this are left out. */
const longestCauseChain = 5;

/** Whether a value is an error of any realm. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/**
 * The fields that an error is written with: type, message, stack, own fields such as `code`, the chain of causes and the
 * errors of an AggregateError. Fields that throw when read are left out.
 */
export function errorFields(error: Error, depth = 0): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    type: String(read(error, 'name') ?? 'Error'),
    message: String(read(error, 'message') ?? ''),
  };
  const stack = read(error, 'stack');
  if (typeof stack === 'string') fields['stack'] = stack;
  // A class may say in `toJSON` what of it may be shown; its own fields are then not read past it.
  const shown = typeof read(error, 'toJSON') === 'function' ? toJsonOf(error) : error;
  for (const key of keysOf(shown)) {
    if (key in fields || key === 'name' || key === 'cause' || key === 'errors' || key === 'stack') continue;
    const value = read(shown, key);
    if (value !== undefined && typeof value !== 'function') fields[key] = value;
  }
  if (depth >= longestCauseChain) return fields;
  const cause = read(error, 'cause');
  if (cause !== undefined) fields['cause'] = isError(cause) ? errorFields(cause, depth + 1) : cause;
  const errors = read(error, 'errors');
  if (Array.isArray(errors)) {
    fields['errors'] = errors.slice(0, 16).map((each) => (isError(each) ? errorFields(each, depth + 1) : each));
  }
  return fields;
}

function toJsonOf(error: object): object {
  try {
    const json = (error as { toJSON(): unknown }).toJSON();
    return typeof json === 'object' && json !== null ? json : {};
  } catch {
    return {};
  }
}

function keysOf(value: object): string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
}

function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
