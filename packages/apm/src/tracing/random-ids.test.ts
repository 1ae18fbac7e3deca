import { isSpanContextValid } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { randomIds } from './random-ids.js';

describe('randomIds', () => {
  it('makes valid ids that do not repeat', () => {
    const ids = randomIds();
    const seen = new Set<string>();
    for (let i = 0; i < 1_000; i += 1) {
      const [traceId, spanId] = [ids.generateTraceId(), ids.generateSpanId()];
      expect(isSpanContextValid({ traceId, spanId, traceFlags: 1 })).toBe(true);
      seen.add(traceId).add(spanId);
    }
    expect(seen.size).toBe(2_000);
  });

  it('knows the ids of the span that began last as numbers', () => {
    const ids = randomIds();
    const textOf = (...words: number[]): string =>
      words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
    for (let i = 0; i < 100; i += 1) {
      const root = { spanId: ids.generateSpanId(), traceId: ids.generateTraceId() };
      const rootWords = ids.wordsOf(root, undefined);
      if (rootWords === undefined) throw new Error('The ids were the last ones.');
      const { trace0, trace1, trace2, trace3, span0, span1 } = rootWords;
      expect(textOf(trace0, trace1, trace2, trace3)).toBe(root.traceId);
      expect(textOf(span0, span1)).toBe(root.spanId);
      const child = { spanId: ids.generateSpanId(), traceId: root.traceId };
      const words = ids.wordsOf(child, rootWords);
      if (words === undefined) throw new Error('The id was the last one.');
      expect(textOf(words.trace0, words.trace1, words.trace2, words.trace3)).toBe(root.traceId);
      expect(textOf(words.span0, words.span1)).toBe(child.spanId);
      expect(textOf(words.parent0, words.parent1)).toBe(root.spanId);
      expect(ids.wordsOf(root, undefined)).toBeUndefined();
      expect(ids.wordsOf({ ...child, traceId: 'f'.repeat(32) }, undefined)).toBeUndefined();
    }
  });

  it('makes no id of zeroes', () => {
    const ids = randomIds(() => 0);
    for (let i = 0; i < 100; i += 1) expect(/^0+$/.test(ids.generateSpanId())).toBe(false);
  });
});
