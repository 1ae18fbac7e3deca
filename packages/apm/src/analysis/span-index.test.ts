import type { Span } from '@mnops/core/spi';
import { expect, it } from 'vitest';
import { SpanIndex } from './span-index.js';
import { readSpanKey } from './span-key.js';

function idOf(high: number, low: number): string {
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

function find(index: SpanIndex, id: string): Span | undefined {
  const key = new Int32Array(2);
  readSpanKey(id, key);
  return index.find(key[0] as number, key[1] as number);
}

it('finds spans by their ids, of those with one id the last', () => {
  const spans = ['1'.repeat(16), '2'.repeat(16), '1'.repeat(16)].map((spanId) => ({ spanId }) as Span);
  const index = new SpanIndex(spans);
  expect(find(index, '1'.repeat(16))).toBe(spans[2]);
  expect(find(index, '2'.repeat(16))).toBe(spans[1]);
  expect(find(index, '3'.repeat(16))).toBeUndefined();
  expect(find(new SpanIndex([]), '1'.repeat(16))).toBeUndefined();
});

it('reads a hundred thousand ids that were chosen for one place of a hash that is known', () => {
  const ids = Array.from({ length: 100_000 }, (_, low) => idOf(Math.imul(low, 0x9e3779b1) ^ 12_345, low));
  const spans = ids.map((spanId) => ({ spanId }) as Span);
  const index = new SpanIndex(spans);
  expect(ids.every((id, at) => find(index, id) === spans[at])).toBe(true);
});
