import type { SpanKindName } from '@mnops/core/spi';
import * as v from 'valibot';
import { spanKinds } from '../span-kinds.js';
import { isContext } from './span-options.js';

const kindNames: ReadonlySet<string> = new Set(spanKinds);
const numbers = [0, 1, 2, 3, 4];
const kindSchema = v.optional(
  v.custom<SpanKindName>(isKind, "'internal', 'server', 'client', 'producer' or 'consumer'"),
);
const attributesSchema = v.optional(v.custom<object>(isRecord, 'a plain object of names and values'));
const linksSchema = v.optional(v.custom<readonly object[]>(Array.isArray, 'a list of links'));
const rootSchema = v.optional(v.boolean());
const nameSchema = v.string();
const runSchema = v.custom<() => unknown>((value) => typeof value === 'function', 'a function, which is what runs');

/** Checks of `trace`, for inputs that a cheap look found odd. */
export const traceSchema: v.GenericSchema = v.strictObject({
  name: nameSchema,
  run: runSchema,
  options: v.optional(
    v.strictObject({
      kind: kindSchema,
      attributes: attributesSchema,
      parent: v.optional(
        v.nullable(v.custom<object>((value) => typeof value === 'object', 'a context, or the headers of a request')),
      ),
      links: linksSchema,
      root: rootSchema,
    }),
  ),
});

/** Checks of `withContext`. */
export const contextSchema: v.GenericSchema = v.strictObject({
  context: v.optional(v.nullable(v.custom<object>(isContext, 'a context, such as one from `extract`'))),
  run: runSchema,
});

/** Checks of `tracer.startSpan` and `tracer.startActiveSpan`. */
export const startSpanSchema: v.GenericSchema = v.strictObject({
  name: nameSchema,
  options: v.optional(
    v.strictObject({
      kind: kindSchema,
      attributes: attributesSchema,
      links: linksSchema,
      startTime: v.optional(v.unknown()),
      root: rootSchema,
    }),
  ),
  context: v.optional(v.nullable(v.custom<object>(isContext, 'a context of OpenTelemetry'))),
});

/** Whether something stands in place of a context; nothing may stand there. */
export function isOddContext(context: unknown): boolean {
  return context !== undefined && context !== null && !isContext(context);
}

/**
 * Whether anything of the options of `trace` would be left out without a word. It is asked for every span, so it makes
 * nothing and looks at each option once.
 */
export function isOddTrace(options: unknown): boolean {
  return isOdd(options, 'parent');
}

/** As `isOddTrace`, for OpenTelemetry's own options. */
export function isOddStart(options: unknown): boolean {
  return isOdd(options, 'startTime');
}

function isOdd(options: unknown, ownName: 'parent' | 'startTime'): boolean {
  if (options === undefined || options === null) return false;
  if (typeof options !== 'object' || Array.isArray(options)) return true;
  try {
    for (const key in options) if (isOddOption(key, (options as Record<string, unknown>)[key], ownName)) return true;
    return false;
  } catch {
    return true;
  }
}

function isOddOption(key: string, value: unknown, ownName: 'parent' | 'startTime'): boolean {
  switch (key) {
    case 'kind':
      return value !== undefined && !isKind(value);
    case 'attributes':
      return value !== undefined && !isRecord(value);
    case 'links':
      return value !== undefined && !Array.isArray(value);
    case 'root':
      return value !== undefined && typeof value !== 'boolean';
    case 'parent':
      return key !== ownName || (value !== undefined && typeof value !== 'object');
    default:
      return key !== ownName;
  }
}

function isKind(value: unknown): boolean {
  return typeof value === 'number' ? numbers.includes(value) : typeof value === 'string' && kindNames.has(value);
}

/** `Map` has no fields of its own: nothing of it would be recorded. */
function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}
