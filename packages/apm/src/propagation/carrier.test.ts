import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { HeaderCarrier, HeaderTarget } from './carrier.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = `00-${traceId}-b7ad6b7169203331-01`;
const other = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false });

beforeAll(() => apm.start());
afterAll(() => apm.stop());

function traceOf(headers: unknown): string {
  return apm.trace('serve', { parent: headers as HeaderCarrier }, (span) => span.spanContext().traceId);
}

describe('headers as a parent', () => {
  const outgoing = new http.OutgoingMessage();
  outgoing.setHeader('Traceparent', parent);
  const forms: readonly (readonly [string, unknown])[] = [
    ['an object', { traceparent: parent }],
    ['an object in another case', { TraceParent: parent, Host: 'a' }],
    ['an object of lists', { traceparent: [parent] }],
    ['an object without a prototype', Object.assign(Object.create(null), { TRACEPARENT: parent })],
    ['Headers of fetch', new Headers({ Traceparent: parent })],
    ['headers of a Request', new Request('http://a.test/', { headers: { traceparent: parent } }).headers],
    ['a Map', new Map([['Traceparent', parent]])],
    ['raw headers', ['Host', 'a', 'Traceparent', parent]],
    [
      'pairs',
      [
        ['Host', 'a'],
        ['Traceparent', parent],
      ],
    ],
    ['headers that are sent', outgoing.getHeaders()],
  ];

  it.each(forms)('are read: %s', (_form, headers) => {
    expect(traceOf(headers)).toBe(traceId);
    expect(apm.withContext(apm.extract(headers as HeaderCarrier), () => traceOf(undefined))).toBe(traceId);
  });

  it('name no parent when there are two of them', () => {
    const twice = new Headers();
    for (const value of [parent, other]) twice.append('traceparent', value);
    const pairs = [
      ['traceparent', parent],
      ['Traceparent', other],
    ];
    for (const headers of [
      twice,
      pairs,
      pairs.flat(),
      new Map([...pairs] as [string, string][]),
      { traceparent: [parent, other] },
    ]) {
      if (!(headers instanceof Map)) expect([traceId, '1'.repeat(32)]).not.toContain(traceOf(headers));
    }
  });

  it('carry baggage, also in parts', () => {
    const sent = (headers: HeaderCarrier): string | undefined => {
      const written: Record<string, string> = {};
      apm.inject(written, apm.extract(headers));
      return written['baggage'];
    };
    expect(sent(new Headers({ Baggage: 'a=1,b=2' }))).toBe('a=1,b=2');
    expect(sent(['Baggage', 'a=1', 'baggage', 'b=2'])).toBe('a=1,b=2');
    expect(sent({ Baggage: ['a=1', 'b=2'] })).toBe('a=1,b=2');
  });

  const hostile: readonly unknown[] = [
    undefined,
    null,
    1,
    'traceparent',
    Symbol('x'),
    () => parent,
    [],
    [[]],
    [null],
    [undefined, parent],
    ['traceparent'],
    [['traceparent']],
    [['traceparent', 1]],
    { traceparent: { toString: () => parent } },
    { get: () => 1, keys: () => 1 },
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    ),
    Object.defineProperty({}, 'traceparent', {
      get: () => {
        throw new Error('no');
      },
    }),
    Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`x-${index}`, 'y'])),
    { traceparent: parent.repeat(100_000) },
  ];

  it.each(hostile.map((headers, index) => [index, headers] as const))(
    'begin a trace when they cannot be read: %i',
    (_index, headers) => {
      expect(traceOf(headers)).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
      expect(traceOf(headers)).not.toBe(traceId);
      expect(() => apm.extract(headers as HeaderCarrier)).not.toThrow();
      expect(() => apm.inject(headers as HeaderTarget)).not.toThrow();
    },
  );
});

describe('headers to write', () => {
  it('take each header once, in the form that they have, whatever the case', () => {
    const written = (headers: HeaderTarget): { headers: HeaderTarget; expected: string } =>
      apm.trace('call', { kind: 'client' }, (span) => {
        apm.inject(headers);
        const { traceId: id, spanId } = span.spanContext();
        return { headers, expected: `00-${id}-${spanId}-03` };
      });
    const web = written(new Headers({ Traceparent: other }));
    expect([...(web.headers as Headers)]).toEqual([['traceparent', web.expected]]);
    const map = written(new Map([['Traceparent', other]]));
    expect([...(map.headers as Map<string, string>)]).toEqual([['traceparent', map.expected]]);
    const named = written({ TraceParent: other, host: 'a' });
    expect(named.headers).toEqual({ host: 'a', traceparent: named.expected });
    const raw = written(['Host', 'a', 'Traceparent', other]);
    expect(raw.headers).toEqual(['Host', 'a', 'traceparent', raw.expected]);
    const pairs = written([
      ['Host', 'a'],
      ['Traceparent', other],
    ]);
    expect(pairs.headers).toEqual([
      ['Host', 'a'],
      ['traceparent', pairs.expected],
    ]);
    const empty = written([]);
    expect(new Headers(empty.headers as [string, string][]).get('traceparent')).toBe(empty.expected);
  });

  it('stay as they are when they cannot be written', () => {
    const frozen = Object.freeze({ host: 'a' });
    apm.trace('call', () => apm.inject(frozen as unknown as HeaderTarget));
    expect(frozen).toEqual({ host: 'a' });
  });
});
