import type { SpanAttributeValue } from '@mnops/core/spi';

/** Text without halves of characters, which no UTF-8 can carry. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** An attribute's value for back ends that keep text only: numbers and booleans as written, lists as JSON. */
export function textOf(value: SpanAttributeValue): string {
  return wellFormed(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** The first `limit` UTF-16 units, without cutting a character in two. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}

/** A text attribute that is there and not empty. */
export function named(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? wellFormed(value) : undefined;
}
