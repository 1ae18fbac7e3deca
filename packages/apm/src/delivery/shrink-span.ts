import type { Span, SpanAttributes, SpanAttributeValue } from '@mnops/core/spi';

/** Longest texts that are tried for a span that is too large, one after the other. */
export const shrinkLengths: readonly number[] = [4_096, 1_024, 256];

/**
 * The span with every text longer than `length` cut, in its attributes, events, links, status and resource; `undefined`
 * when there is none. Lists are cut to as many values as `length` has hundreds.
 */
export function shrinkSpan(span: Span, length: number): Span | undefined {
  const cut = new Cut(length);
  const { message } = span.status;
  const shrunk: Span = {
    ...span,
    name: cut.text(span.name),
    status: message === undefined ? span.status : { code: span.status.code, message: cut.text(message) },
    attributes: cut.attributes(span.attributes),
    resource: cut.attributes(span.resource),
    events: span.events.map((event) => ({
      ...event,
      name: cut.text(event.name),
      attributes: cut.attributes(event.attributes),
    })),
    links: span.links.map((link) => ({ ...link, attributes: cut.attributes(link.attributes) })),
  };
  return cut.changed ? shrunk : undefined;
}

class Cut {
  readonly #length: number;
  changed = false;

  constructor(length: number) {
    this.#length = length;
  }

  text(text: string): string {
    if (text.length <= this.#length) return text;
    this.changed = true;
    return text.slice(0, this.#length);
  }

  attributes(attributes: SpanAttributes): SpanAttributes {
    return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, this.#value(value)]));
  }

  #value(value: SpanAttributeValue): SpanAttributeValue {
    if (typeof value === 'string') return this.text(value);
    if (typeof value !== 'object') return value;
    const most = Math.max(1, Math.floor(this.#length / 100));
    if (value.length > most) this.changed = true;
    // Values of one kind stay of one kind.
    return value
      .slice(0, most)
      .map((item) => (typeof item === 'string' ? this.text(item) : item)) as SpanAttributeValue;
  }
}
