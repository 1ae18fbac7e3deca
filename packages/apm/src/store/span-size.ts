import type { Span } from '@mnops/core/spi';

/** Size of a span without its texts, as measured on a heap of many. */
const spanBytes = 900;
const attributeBytes = 60;

/** Estimated bytes of a span on the heap. */
export function sizeOf(span: Span): number {
  let bytes = spanBytes + span.name.length;
  const { attributes } = span;
  for (const key in attributes) {
    const value = attributes[key];
    bytes += attributeBytes;
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object') bytes += arrayBytes(value);
  }
  return bytes + extraBytes(span);
}

function extraBytes(span: Span): number {
  let bytes = 0;
  for (const { name, attributes } of span.events) {
    bytes += 200 + name.length;
    for (const value of Object.values(attributes)) {
      bytes += attributeBytes + (typeof value === 'string' ? value.length : 8);
    }
  }
  return bytes + span.links.length * 200;
}

function arrayBytes(values: readonly (string | number | boolean | null)[]): number {
  let bytes = 16;
  for (const value of values) bytes += 8 + (typeof value === 'string' ? value.length : 0);
  return bytes;
}
