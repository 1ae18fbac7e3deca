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

  it('makes no id of zeroes', () => {
    const ids = randomIds(() => 0);
    for (let i = 0; i < 100; i += 1) expect(/^0+$/.test(ids.generateSpanId())).toBe(false);
  });
});
