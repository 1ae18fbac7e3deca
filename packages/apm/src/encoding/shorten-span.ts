import type { Span, SpanAttributes, SpanAttributeValue } from '@mnops/core/spi';
import { cut } from './plain-text.js';

/** What a back end takes of one span. */
export interface SpanLengths {
  /** UTF-16 units of a text: name, status message, values and members of lists. */
  readonly text: number;
  /** Members of a list. Default: any number. */
  readonly list?: number | undefined;
}

/**
 * The span with its longer texts cut, and its longer lists, in attributes, events, links, status and resource. The span
 * itself when nothing is longer, so what is short enough is not copied.
 */
export function shortenSpan(span: Span, lengths: SpanLengths): Span {
  const { status } = span;
  const shorter = {
    name: cut(span.name, lengths.text),
    status: status.message === undefined ? status : shortenStatus(status, status.message, lengths),
    attributes: shortenAttributes(span.attributes, lengths),
    resource: shortenAttributes(span.resource, lengths),
    events: sameOr(span.events, (event) => {
      const attributes = shortenAttributes(event.attributes, lengths);
      const name = cut(event.name, lengths.text);
      return attributes === event.attributes && name === event.name ? event : { ...event, name, attributes };
    }),
    links: sameOr(span.links, (link) => {
      const attributes = shortenAttributes(link.attributes, lengths);
      return attributes === link.attributes ? link : { ...link, attributes };
    }),
  };
  const isSame = (Object.keys(shorter) as (keyof typeof shorter)[]).every((field) => shorter[field] === span[field]);
  return isSame ? span : { ...span, ...shorter };
}

/** The attributes with longer values cut; the same object when none is. */
export function shortenAttributes(attributes: SpanAttributes, lengths: SpanLengths): SpanAttributes {
  const entries = Object.entries(attributes);
  const shorter = entries.map(([key, value]) => [key, shortenValue(value, lengths)] as const);
  return shorter.every(([, value], i) => Object.is(value, entries[i]?.[1])) ? attributes : Object.fromEntries(shorter);
}

function shortenStatus(status: Span['status'], message: string, { text }: SpanLengths): Span['status'] {
  return message.length <= text ? status : { code: status.code, message: cut(message, text) };
}

function shortenValue(value: SpanAttributeValue, { text, list }: SpanLengths): SpanAttributeValue {
  if (typeof value === 'string') return cut(value, text);
  if (typeof value !== 'object') return value;
  const members: readonly (string | number | boolean | null)[] =
    value.length > (list ?? value.length) ? value.slice(0, list) : value;
  // Values of one kind stay of one kind.
  return sameOr(members, (member) => (typeof member === 'string' ? cut(member, text) : member)) as SpanAttributeValue;
}

/** The list with each member replaced; the list itself when all stay. */
function sameOr<T>(list: readonly T[], replace: (member: T) => T): readonly T[] {
  const replaced = list.map(replace);
  return replaced.every((member, i) => Object.is(member, list[i])) ? list : replaced;
}
