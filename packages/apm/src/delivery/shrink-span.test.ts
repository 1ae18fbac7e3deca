import { describe, expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import { shrinkSpan } from './shrink-span.js';

describe('shrinkSpan', () => {
  it('cuts every long text and list, and leaves the rest as it was', () => {
    const long = 'x'.repeat(1_000);
    const span = {
      ...spanOf({ id: '1', name: long, attributes: { long, short: 'y', number: 3, texts: [long, 'z', 'w'] } }),
      status: { code: 'error' as const, message: long },
      events: [{ name: 'e', timeUnixNano: 1n, attributes: { long } }],
      links: [{ traceId: '1'.repeat(32), spanId: '1'.repeat(16), attributes: { long } }],
    };
    const cut = 'x'.repeat(256);
    const smaller = shrinkSpan(span, 256);
    expect(smaller).toEqual({
      ...span,
      name: cut,
      attributes: { long: cut, short: 'y', number: 3, texts: [cut, 'z'] },
      status: { code: 'error', message: cut },
      events: [{ name: 'e', timeUnixNano: 1n, attributes: { long: cut } }],
      links: [{ ...span.links[0], attributes: { long: cut } }],
    });
    expect(shrinkSpan(span, 4_096)).toBeUndefined();
  });
});
