import type { Span, SpanAttributes } from '@mnops/core/spi';

/** Size of a span without its texts, as measured on a heap of many. */
const spanBytes = 900;
const attributeBytes = 60;

/**
 * Estimated bytes of a span on the heap, everything that a sender chooses included.
 *
 * @param paid - Resources that were counted before: spans share them, and the first one pays. Default: none.
 */
export function sizeOf(span: Span, paid: WeakSet<object> = new WeakSet()): number {
  let bytes = spanBytes + span.name.length + bytesOf(span.attributes);
  bytes += (span.traceState?.length ?? 0) + (span.status.message?.length ?? 0);
  bytes += span.scope.name.length + (span.scope.version?.length ?? 0);
  if (!paid.has(span.resource)) {
    paid.add(span.resource);
    bytes += bytesOf(span.resource);
  }
  for (const { name, attributes } of span.events) bytes += 200 + name.length + bytesOf(attributes);
  for (const link of span.links) bytes += 200 + (link.traceState?.length ?? 0) + bytesOf(link.attributes ?? {});
  return bytes;
}

function bytesOf(attributes: SpanAttributes): number {
  let bytes = 0;
  for (const key in attributes) {
    const value = attributes[key];
    bytes += attributeBytes + key.length;
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object') bytes += arrayBytes(value);
  }
  return bytes;
}

function arrayBytes(values: readonly (string | number | boolean | null)[]): number {
  let bytes = 16;
  for (const value of values) bytes += 8 + (typeof value === 'string' ? value.length : 0);
  return bytes;
}
