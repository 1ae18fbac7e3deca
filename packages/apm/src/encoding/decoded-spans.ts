import type { Span, SpanAttributes, SpanAttributeValue } from '@mnops/core/spi';

/** Spans of one request, and what could not be used. */
export interface DecodedSpans {
  readonly spans: readonly Span[];
  readonly rejected: number;
  /** Why spans were rejected; at most ten different reasons. */
  readonly reasons: readonly string[];
}

/** Entries of one list (attributes, events, links, values of an array); further ones are left out and counted. */
export const maxEntries = 256;
/** Characters of one text; the rest is cut off. */
export const maxCharacters = 65_536;
/** An honest request nests about 12 deep; lists within lists are what goes beyond. */
export const maxDepth = 64;

/** Collects what one request holds. */
export class SpanCollector {
  readonly #spans: Span[] = [];
  readonly #reasons: Set<string> = new Set();
  #rejected = 0;

  /** Takes a span, or why it is none. */
  take(span: Span | string): void {
    if (typeof span === 'object') {
      this.#spans.push(span);
      return;
    }
    this.#rejected += 1;
    if (this.#reasons.size < 10) this.#reasons.add(span);
  }

  /** Everything taken so far. */
  get decoded(): DecodedSpans {
    return { spans: this.#spans, rejected: this.#rejected, reasons: [...this.#reasons] };
  }
}

/** Attributes with what had to be left out. */
export interface DecodedAttributes {
  readonly attributes: SpanAttributes;
  readonly dropped: number;
}

/** A value as OTLP's `AnyValue` has it, before it is fitted to what a span may hold. */
export type OpenValue = SpanAttributeValue | null | undefined | readonly OpenValue[] | ReadonlyMap<string, OpenValue>;

/**
 * What a span can hold of a value: a list of one kind stays, a mixed one becomes a list of texts, and nested values,
 * which OpenTelemetry spans do not have, become their JSON.
 */
export function spanValueOf(value: OpenValue): SpanAttributeValue | undefined {
  if (value === null || value === undefined) return undefined;
  if (isMap(value)) return cut(JSON.stringify(plainOf(value)));
  if (typeof value !== 'object') return value;
  const items = value.map((item) => item ?? null);
  const sorts = new Set(items.filter((item) => item !== null).map((item) => typeof item));
  if (sorts.size <= 1 && !sorts.has('object')) return items as unknown as SpanAttributeValue;
  return items.map((item) => {
    if (item === null) return null;
    return typeof item === 'string' ? item : cut(JSON.stringify(plainOf(item)));
  });
}

function isMap(value: OpenValue): value is ReadonlyMap<string, OpenValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function plainOf(value: OpenValue): unknown {
  if (isMap(value)) return Object.fromEntries([...value].map(([key, item]) => [key, plainOf(item)]));
  return Array.isArray(value) ? (value as readonly OpenValue[]).map(plainOf) : value;
}

/** The first characters of a text. */
export function cut(text: string): string {
  // A slice would keep the whole text of the request alive; a copy does not.
  return text.length <= maxCharacters ? text : Buffer.from(text.slice(0, maxCharacters)).toString();
}
