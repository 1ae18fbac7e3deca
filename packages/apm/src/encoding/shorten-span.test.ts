import { describe, expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import { shortenSpan } from './shorten-span.js';

describe('shortenSpan', () => {
  it('cuts every long text and list, and leaves the rest as it was', () => {
    const long = 'x'.repeat(1_000);
    const span = {
      ...spanOf({ id: '1', name: long, attributes: { long, short: 'y', number: 3, texts: [long, 'z', 'w'] } }),
      status: { code: 'error' as const, message: long },
      events: [{ name: 'e', timeUnixNano: 1n, attributes: { long } }],
      links: [{ traceId: '1'.repeat(32), spanId: '1'.repeat(16), attributes: { long } }],
    };
    const cut = 'x'.repeat(256);
    const smaller = shortenSpan(span, { text: 256, list: 2 });
    expect(smaller).toEqual({
      ...span,
      name: cut,
      attributes: { long: cut, short: 'y', number: 3, texts: [cut, 'z'] },
      status: { code: 'error', message: cut },
      events: [{ name: 'e', timeUnixNano: 1n, attributes: { long: cut } }],
      links: [{ ...span.links[0], attributes: { long: cut } }],
    });
    expect(shortenSpan(span, { text: 4_096 })).toBe(span);
  });

  it('gives back the span itself when nothing is longer, whatever numbers it has, and cuts no character in two', () => {
    const span = spanOf({ id: '1', attributes: { none: Number.NaN, numbers: [Number.NaN, 1], texts: ['a', null] } });
    expect(shortenSpan(span, { text: 100 })).toBe(span);
    const [smiles] = Object.values(shortenSpan({ ...span, attributes: { a: '😀😀' } }, { text: 3 }).attributes);
    expect(smiles).toBe('😀');
  });
});
