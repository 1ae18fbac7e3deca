import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { sizeOf } from './span-size.js';

const span: Span = {
  traceId: '0'.repeat(32),
  spanId: '0'.repeat(16),
  traceFlags: 1,
  name: 'GET /',
  kind: 'server',
  startTimeUnixNano: 0n,
  durationNano: 1n,
  status: { code: 'unset' },
  attributes: {},
  events: [],
  links: [],
  dropped: { attributes: 0, events: 0, links: 0 },
  resource: {},
  scope: { name: 'test' },
};
const long = 'x'.repeat(10_000);

describe('sizeOf', () => {
  it.each<[string, Partial<Span>]>([
    ['attributes', { attributes: { a: long } }],
    ['names of attributes', { attributes: { [long]: 1 } }],
    ['lists', { attributes: { a: [long] } }],
    ['the resource', { resource: { a: long } }],
    ['the scope', { scope: { name: long } }],
    ['the trace state', { traceState: long }],
    ['the status', { status: { code: 'error', message: long } }],
    ['events', { events: [{ name: 'e', timeUnixNano: 0n, attributes: { a: [long] } } as never] }],
    ['links', { links: [{ traceId: '1'.repeat(32), spanId: '1'.repeat(16), attributes: { a: long } } as never] }],
  ])('counts %s', (_, part) => {
    expect(sizeOf({ ...span, ...part }, new WeakSet()) - sizeOf(span, new WeakSet())).toBeGreaterThanOrEqual(9_900);
  });

  it('counts a shared resource once', () => {
    const resource = { a: long };
    const paid = new WeakSet<object>();
    expect(sizeOf({ ...span, resource }, paid) - sizeOf({ ...span, resource }, paid)).toBeGreaterThan(9_900);
  });
});
