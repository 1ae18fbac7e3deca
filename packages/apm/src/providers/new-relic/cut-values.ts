import type { Span, SpanAttributes, SpanAttributeValue, SpanBatch } from '@mnops/core/spi';

/** Characters of one value. */
const maxCharacters = 4_095;

/** The batch with texts no longer than New Relic takes; what is short enough is not copied. */
export function cutBatch(batch: SpanBatch): SpanBatch {
  const groups = batch.groups.map(({ resource, scope, spans }) => ({
    resource: cutAttributes(resource),
    scope,
    spans: spans.map(cutSpan),
  }));
  return { groups, spanCount: batch.spanCount };
}

function cutSpan(span: Span): Span {
  const attributes = cutAttributes(span.attributes);
  const events = span.events.map(cutMember);
  const links = span.links.map(cutMember);
  const isSame =
    attributes === span.attributes &&
    events.every((event, i) => event === span.events[i]) &&
    links.every((link, i) => link === span.links[i]);
  return isSame ? span : { ...span, attributes, events, links };
}

function cutMember<T extends { readonly attributes: SpanAttributes }>(member: T): T {
  const attributes = cutAttributes(member.attributes);
  return attributes === member.attributes ? member : { ...member, attributes };
}

function cutAttributes(attributes: SpanAttributes): SpanAttributes {
  const entries = Object.entries(attributes);
  if (!entries.some(([, value]) => isLong(value))) return attributes;
  return Object.fromEntries(entries.map(([key, value]) => [key, isLong(value) ? cutValue(value) : value]));
}

function isLong(value: SpanAttributeValue | null): boolean {
  if (typeof value === 'string') return value.length > maxCharacters;
  return Array.isArray(value) && (value as readonly (SpanAttributeValue | null)[]).some(isLong);
}

function cutValue(value: SpanAttributeValue): SpanAttributeValue {
  if (typeof value === 'string') return value.slice(0, maxCharacters);
  const list = value as readonly (string | null)[];
  return list.map((item) => (item === null ? null : item.slice(0, maxCharacters)));
}
