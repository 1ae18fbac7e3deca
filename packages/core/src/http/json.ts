import { coreError } from '../errors/core-error.js';
import type { JsonValue } from '../spi/base.js';

/** Bounds of JSON that came from elsewhere. */
export interface SafeJsonOptions {
  /** Deepest nesting of arrays and objects. Default 64. */
  readonly maxDepth?: number | undefined;
}

/**
 * Parses JSON that came from elsewhere: nesting is bounded, and keys that could reach a prototype (`__proto__`, or
 * `constructor` that holds `prototype`) are refused.
 *
 * @throws {MnopsError} `MNOPS_CORE_RESPONSE_INVALID`; the message never quotes the text.
 */
export function safeJsonParse(text: string, options: SafeJsonOptions = {}): JsonValue {
  const { maxDepth = 64 } = options;
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    // The parser's own error quotes the text, which may be a secret.
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The answer is not JSON (${text.length} characters).`);
  }
  // Most answers are small and plain: neither too deep nor able to hold such a key, which costs no walk to see.
  if (!suspicious.test(text) && bracketsIn(text, maxDepth) <= maxDepth) return value;
  const open: [value: JsonValue, depth: number][] = [[value, 1]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [current, depth] = next;
    if (typeof current !== 'object' || current === null) continue;
    if (depth > maxDepth) {
      throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The answer is nested deeper than ${maxDepth} levels.`);
    }
    if (Array.isArray(current)) {
      for (const item of current as readonly JsonValue[]) open.push([item, depth + 1]);
      continue;
    }
    for (const [key, item] of Object.entries(current)) {
      if (key === '__proto__' || (key === 'constructor' && holdsPrototype(item))) {
        throw coreError('MNOPS_CORE_RESPONSE_INVALID', 'The answer has a key that could change a prototype.');
      }
      open.push([item, depth + 1]);
    }
  }
  return value;
}

/** A name may be spelled with escapes. */
const suspicious = /__proto__|constructor|\\u/;

/** Opening brackets of a text, those in strings too; counted no further than one beyond the bound. */
function bracketsIn(text: string, bound: number): number {
  let found = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0 && found <= bound; at = text.indexOf(bracket, at + 1)) found += 1;
  }
  return found;
}

function holdsPrototype(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype');
}
