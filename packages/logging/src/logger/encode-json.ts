import { errorFields, isError } from './error-fields.js';
import { quote } from './quote.js';
import type { Redactor, RedactState } from './redact.js';

/** Bounds of one encoded entry. */
export interface EncodeLimits {
  /** Levels of nesting below the attributes. */
  readonly depth: number;
  /** Attributes of an entry, and items of any object or list in it. */
  readonly attributes: number;
  /** Characters of one entry. */
  readonly characters: number;
}

/** Encodes attributes of any shape as JSON text. It never throws and never changes what it is given. */
export interface FieldEncoder {
  /** The members of an object as `"key":value,"key":value`, or an empty text. */
  fields(source: object): string;
  /** Any value as JSON text, redacted as if it were the attributes. */
  json(value: unknown): string;
  /** A message as a JSON string of at most `limit` characters, with patterns removed. `limit` defaults to an entry's. */
  message(text: string, limit?: number): string;
  /** True when a limit was reached since the last call of `takeTruncated`. */
  takeTruncated(): boolean;
  readonly counters: EncodeCounters;
}

/** What an encoder has seen. */
export interface EncodeCounters {
  /** Values removed by redaction. */
  redacted: number;
  /** Values that could not be encoded and have a placeholder. */
  placeholders: number;
}

const hasOwn = Object.prototype.hasOwnProperty;

/** Names of keys that are remembered in quoted form; programs use few. */
const maxCachedKeys = 2048;

/** Characters given up before a cut: longer than what any ready-made pattern matches. */
const cutMargin = 8192;
/** Characters that patterns see beyond the limit: redaction makes a text shorter, and the margin goes. */
const lookAhead = 3 * cutMargin;

/** Makes an encoder with its own limits, redaction and counters. */
export function fieldEncoder(limits: EncodeLimits, redactor: Redactor, counters: EncodeCounters): FieldEncoder {
  return new Encoder(limits, redactor, counters);
}

class Encoder implements FieldEncoder {
  readonly counters: EncodeCounters;
  readonly #maxDepth: number;
  readonly #maxItems: number;
  readonly #maxCharacters: number;
  readonly #root: RedactState | undefined;
  readonly #clean: ((text: string) => string) | undefined;
  readonly #replacement: string;
  readonly #names = new Map<string, KeyText>();
  #left = 0;
  #truncated = false;

  constructor(limits: EncodeLimits, redactor: Redactor, counters: EncodeCounters) {
    this.counters = counters;
    this.#maxDepth = limits.depth;
    this.#maxItems = limits.attributes;
    this.#maxCharacters = limits.characters;
    this.#root = redactor.root;
    this.#clean = redactor.clean;
    this.#replacement = quote(redactor.replacement);
  }

  takeTruncated(): boolean {
    const truncated = this.#truncated;
    this.#truncated = false;
    return truncated;
  }

  message(text: string, limit = this.#maxCharacters): string {
    const clean = this.#cleaned(text, limit);
    if (clean.length <= limit) return quote(clean);
    this.#truncated = true;
    return quote(clean.slice(0, limit));
  }

  /**
   * A text without patterns. Of one far over the limit only the start is looked at, since the rest is not written; what
   * stands at the cut may be half a secret that no pattern knows any more, so the margin goes again.
   */
  #cleaned(text: string, limit: number): string {
    if (this.#clean === undefined) return text;
    if (text.length <= limit + lookAhead) return this.#clean(text);
    this.#truncated = true;
    const start = this.#clean(text.slice(0, limit + lookAhead));
    return start.slice(0, Math.max(0, start.length - cutMargin));
  }

  json(value: unknown): string {
    if (typeof value !== 'object' || value === null)
      return this.#value(value, 0, { object: this, above: undefined }, undefined);
    const left = this.#left;
    this.#left = this.#maxCharacters;
    try {
      return this.#object(value, 0, { object: this, above: undefined }, this.#root);
    } finally {
      this.#left = left;
    }
  }

  fields(source: object): string {
    // A getter or toJSON of the caller may log in turn: the outer entry's budget goes on afterwards.
    const left = this.#left;
    this.#left = this.#maxCharacters;
    try {
      return this.#members(source, 0, undefined, this.#root);
    } finally {
      this.#left = left;
    }
  }

  #members(source: object, depth: number, above: Ancestors | undefined, state: RedactState | undefined): string {
    try {
      return this.#plainMembers(source, depth, above, state);
    } catch {
      return this.#carefulMembers(source, depth, above, state);
    }
  }

  /** The hot path: own enumerable members of an object whose getters do not throw. */
  #plainMembers(source: object, depth: number, above: Ancestors | undefined, state: RedactState | undefined): string {
    let out = '';
    let count = 0;
    for (const key in source) {
      if (!hasOwn.call(source, key)) continue;
      const value = (source as Record<string, unknown>)[key];
      if (value === undefined) continue;
      count += 1;
      if (count > this.#maxItems || this.#left < 0) {
        this.#truncated = true;
        break;
      }
      const name = this.#names.get(key) ?? this.#nameOf(key);
      out += this.#member(count === 1 ? name.first : name.next, key, value, depth, above, state, source);
    }
    // Counted apart from the texts, so that a wide structure of small values ends too.
    this.#left -= count * 8;
    return out;
  }

  #member(
    name: string,
    key: string,
    value: unknown,
    depth: number,
    above: Ancestors | undefined,
    state: RedactState | undefined,
    parent: object,
  ): string {
    let below: RedactState | undefined;
    if (state !== undefined) {
      below = key.includes('.') ? walk(state, key) : state.next(key);
      if (below?.matched === true) {
        this.counters.redacted += 1;
        return name + this.#replacement;
      }
    }
    switch (typeof value) {
      case 'string':
        return name + this.#text(value);
      case 'number':
        return name + this.#number(value);
      case 'boolean':
        return name + (value ? 'true' : 'false');
      default:
        return value === null ? `${name}null` : name + this.#value(value, depth, { object: parent, above }, below);
    }
  }

  #carefulMembers(source: object, depth: number, above: Ancestors | undefined, state: RedactState | undefined): string {
    let keys: string[];
    try {
      keys = Object.keys(source);
    } catch {
      this.counters.placeholders += 1;
      return '"unreadable":"[Throws]"';
    }
    let out = '';
    for (const key of keys.slice(0, this.#maxItems)) {
      const { first, next } = this.#nameOf(key);
      const name = out === '' ? first : next;
      try {
        const value = (source as Record<string, unknown>)[key];
        if (value !== undefined) out += this.#member(name, key, value, depth, above, state, source);
      } catch {
        this.counters.placeholders += 1;
        out += `${name}"[Throws]"`;
      }
    }
    this.#left -= keys.length * 8;
    if (keys.length > this.#maxItems) this.#truncated = true;
    return out;
  }

  #text(value: string): string {
    const text = this.#cleaned(value, Math.max(0, this.#left));
    const length = text.length;
    if (length > this.#left) {
      this.#truncated = true;
      const kept = Math.max(0, this.#left);
      this.#left = -1;
      return quote(text.slice(0, kept));
    }
    this.#left -= length;
    return quote(text);
  }

  #number(value: number): string {
    // JSON has no such numbers; the names are what OTLP/JSON writes for them.
    if (!Number.isFinite(value)) return `"${value}"`;
    // A card number may come as a number.
    return this.#clean !== undefined && (value > 1e11 || value < -1e11) ? this.#numberText(value) : `${value}`;
  }

  #numberText(value: number): string {
    const text = `${value}`;
    const clean = this.#clean?.(text) ?? text;
    return clean === text ? text : quote(clean);
  }

  #value(value: unknown, depth: number, above: Ancestors, state: RedactState | undefined): string {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return this.#number(value);
      case 'boolean':
        return value ? 'true' : 'false';
      case 'undefined':
        return 'null';
      case 'bigint':
        // A card number may come as one.
        return this.#text(`${value}`);
      case 'object':
        return value === null ? 'null' : this.#object(value, depth + 1, above, state);
      case 'function':
        return quote(`[Function ${value.name}]`);
      default:
        return quote(String(value));
    }
  }

  #object(value: object, depth: number, above: Ancestors, state: RedactState | undefined): string {
    if (depth > this.#maxDepth) {
      this.#truncated = true;
      return Array.isArray(value) ? '"[Array]"' : '"[Object]"';
    }
    if (isAbove(value, above)) return '"[Circular]"';
    this.#left -= 2;
    try {
      if (Array.isArray(value)) return this.#list(value, depth, above, state);
      if (isError(value)) return this.#braces(errorFields(value), depth, above, state);
      const toJson = (value as { toJSON?: unknown }).toJSON;
      if (typeof toJson === 'function') return this.#converted(value, depth, above, state);
      if (value instanceof Map) return this.#braces(Object.fromEntries(value), depth, above, state);
      if (value instanceof Set) return this.#list([...value], depth, above, state);
      if (ArrayBuffer.isView(value)) return quote(`[${value.constructor.name} ${value.byteLength} bytes]`);
    } catch {
      this.counters.placeholders += 1;
      return '"[Throws]"';
    }
    return this.#braces(value, depth, above, state);
  }

  #converted(value: object, depth: number, above: Ancestors, state: RedactState | undefined): string {
    if (Buffer.isBuffer(value)) return `"[Buffer ${value.byteLength} bytes]"`;
    const json = (value as { toJSON(): unknown }).toJSON();
    const known = { object: value, above };
    if (typeof json !== 'object' || json === null) return this.#value(json, depth, known, state);
    if (json === value || isError(json)) return this.#braces(json, depth, above, state);
    // What toJSON returned is plain data; a second toJSON on it is not called, it could go on for ever.
    return Array.isArray(json) ? this.#list(json, depth, known, state) : this.#braces(json, depth, known, state);
  }

  #braces(value: object, depth: number, above: Ancestors, state: RedactState | undefined): string {
    return `{${this.#members(value, depth, above, state)}}`;
  }

  #list(values: readonly unknown[], depth: number, above: Ancestors, state: RedactState | undefined): string {
    let out = '';
    const known = { object: values, above };
    for (let index = 0; index < values.length; index += 1) {
      if (index >= this.#maxItems || this.#left < 0) {
        this.#truncated = true;
        break;
      }
      const below = state?.next(String(index));
      if (index > 0) out += ',';
      if (below?.matched === true) {
        this.counters.redacted += 1;
        out += this.#replacement;
      } else {
        out += this.#value(values[index], depth, known, below);
      }
    }
    this.#left -= values.length;
    return `[${out}]`;
  }

  #nameOf(key: string): KeyText {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const first = `${quote(key)}:`;
    const name = { first, next: `,${first}` };
    if (key.length > 64) this.#left -= key.length;
    else if (this.#names.size < maxCachedKeys) this.#names.set(key, name);
    return name;
  }
}

/** A key as it stands before the first member and before each further one. */
interface KeyText {
  readonly first: string;
  readonly next: string;
}

/** The objects around a value, innermost first. */
interface Ancestors {
  readonly object: object;
  readonly above: Ancestors | undefined;
}

function isAbove(value: object, above: Ancestors): boolean {
  for (let each: Ancestors | undefined = above; each !== undefined; each = each.above) {
    if (each.object === value) return true;
  }
  return false;
}

function walk(state: RedactState, dotted: string): RedactState | undefined {
  let reached = state.next(dotted);
  if (reached?.matched === true) return reached;
  reached = state;
  for (const key of dotted.split('.')) {
    reached = reached?.next(key);
    if (reached === undefined || reached.matched) return reached;
  }
  return reached;
}
