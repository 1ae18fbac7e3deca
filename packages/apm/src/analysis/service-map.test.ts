import { describe, expect, it } from 'vitest';
import { mapCases } from '../testing/map-cases.js';
import { spanOf } from '../testing/spans.js';
import { EdgeTable } from './edge-table.js';
import { buildServiceMap } from './service-map.js';
import { factsOf } from './span-facts.js';

/** `client>server` with calls and errors, for short expectations. */
function edgesOf(map: ReturnType<typeof buildServiceMap>): Record<string, [number, number]> {
  return Object.fromEntries(
    map.dependencies.map((edge) => [
      `${edge.client}>${edge.server}${edge.virtual ? '?' : ''}:${edge.connection}`,
      [edge.calls, edge.errors],
    ]),
  );
}

/** Calls and failed calls by `client>server`. */
function linksOf(edges: readonly { client: string; server: string; calls: number; errors: number }[]): object {
  return Object.fromEntries(edges.map(({ client, server, calls, errors }) => [`${client}>${server}`, [calls, errors]]));
}

/** The list in its own order, backwards, and begun at each of its places. */
function ordersOf<T>(list: readonly T[]): T[][] {
  const turned = list.map((_, index) => [...list.slice(index), ...list.slice(0, index)]);
  return [...turned, ...turned.map((order) => order.toReversed())];
}

const call = [
  spanOf({ service: 'web', id: 'a', kind: 'client', durationMs: 20 }),
  spanOf({ service: 'api', id: 'b', parent: 'a', kind: 'server', durationMs: 15 }),
] as const;

describe('buildServiceMap', () => {
  it.each(mapCases)('knows $title, in any order', ({ spans, links }) => {
    for (const order of ordersOf(spans)) expect(linksOf(buildServiceMap(order).dependencies)).toEqual(links);
  });

  it('reads spans that can be read only once', () => {
    for (const { spans, links } of mapCases) {
      expect(linksOf(buildServiceMap(spans.values()).dependencies)).toEqual(links);
    }
  });

  it('joins a client and its server in either order', () => {
    expect(edgesOf(buildServiceMap(call))).toEqual({ 'web>api:request': [1, 0] });
    expect(edgesOf(buildServiceMap(call.toReversed()))).toEqual({ 'web>api:request': [1, 0] });
  });

  it('counts a call as failed when either side failed', () => {
    const client = { ...call[0], status: { code: 'error' as const } };
    const server = { ...call[1], status: { code: 'error' as const } };
    expect(edgesOf(buildServiceMap([client, call[1]]))).toEqual({ 'web>api:request': [1, 1] });
    expect(edgesOf(buildServiceMap([call[0], server]))).toEqual({ 'web>api:request': [1, 1] });
  });

  it('makes a virtual service of a leaf client that names its peer', () => {
    const query = { 'db.system.name': 'postgresql', 'db.namespace': 'orders', 'server.address': '10.0.0.5' };
    const map = buildServiceMap([
      spanOf({ service: 'api', id: 'a', kind: 'client', attributes: query }),
      spanOf({ service: 'api', id: 'b', kind: 'client', attributes: { 'server.address': 'pay.example' }, error: true }),
      spanOf({ service: 'api', id: 'c', kind: 'client' }),
    ]);
    expect(edgesOf(map)).toEqual({ 'api>orders?:database': [1, 0], 'api>pay.example?:request': [1, 1] });
    expect(map.services.map((node) => [node.service, node.virtual])).toEqual([
      ['api', false],
      ['orders', true],
      ['pay.example', true],
    ]);
  });

  it('leads messages through the broker that is named, and joins directly where none is', () => {
    const broker = { 'messaging.system': 'kafka', 'messaging.destination.name': 'orders' };
    expect(
      edgesOf(
        buildServiceMap([
          spanOf({ service: 'shop', id: 'a', kind: 'producer', attributes: broker }),
          spanOf({ service: 'mail', id: 'b', parent: 'a', kind: 'consumer', attributes: broker }),
        ]),
      ),
    ).toEqual({ 'shop>orders?:messaging': [1, 0], 'orders>mail?:messaging': [1, 0] });
    expect(
      edgesOf(
        buildServiceMap([
          spanOf({ service: 'shop', id: 'a', kind: 'producer' }),
          spanOf({ service: 'mail', id: 'b', parent: 'a', kind: 'consumer' }),
          spanOf({ service: 'bill', id: 'c', parent: 'a', kind: 'consumer' }),
        ]),
      ),
    ).toEqual({ 'shop>mail:messaging': [1, 0], 'shop>bill:messaging': [1, 0] });
  });

  it('finds the caller when its inner span is the parent, and ignores parents of the same service', () => {
    const server = spanOf({ service: 'api', id: 'b', parent: 'a', kind: 'server' });
    expect(edgesOf(buildServiceMap([server, spanOf({ service: 'web', id: 'a' })]))).toEqual({
      'web>api:request': [1, 0],
    });
    expect(edgesOf(buildServiceMap([server, spanOf({ service: 'api', id: 'a' })]))).toEqual({});
  });

  it('keeps cycles and calls to itself apart', () => {
    const spans = ['a', 'b'].flatMap((from) =>
      ['a', 'b'].flatMap((to) => [
        spanOf({ service: from, id: `1${from}${to}`, kind: 'client' }),
        spanOf({ service: to, id: `2${from}${to}`, parent: `1${from}${to}`, kind: 'server' }),
      ]),
    );
    expect(Object.keys(edgesOf(buildServiceMap(spans))).toSorted()).toEqual([
      'a>a:request',
      'a>b:request',
      'b>a:request',
      'b>b:request',
    ]);
  });
});

describe('EdgeTable', () => {
  it('counts edges beyond its limit under (other)', () => {
    const table = new EdgeTable({ maxEdges: 3 });
    for (let i = 0; i < 10; i += 1) {
      const peer = { 'server.address': `host-${i}` };
      table.observe(factsOf(spanOf({ service: 'web', id: `${i}`, kind: 'client', attributes: peer })), 0);
    }
    table.settle(1e9);
    expect(table.edges().reduce((sum, edge) => sum + edge.calls, 0)).toBe(10);
    expect(table.edges().map((edge) => edge.server)).toContain('(other)');
    expect(table.edges().length).toBeLessThanOrEqual(4);
    expect(table.overflowed).toBeGreaterThanOrEqual(6);
  });

  it.each(mapCases)('knows $title while spans come in any order', ({ spans, links }) => {
    for (const order of ordersOf(spans)) {
      const table = new EdgeTable();
      // Which services there are is known after their first spans.
      for (const service of ['first', 'second']) table.observe(factsOf(spanOf({ service, id: service })), 0);
      for (const span of order) table.observe(factsOf(span), 0);
      expect(linksOf(table.edges())).toEqual(links);
      table.settle(1e9);
      expect(linksOf(table.edges())).toEqual(links);
      expect(table.pending).toBe(0);
    }
  });

  it('takes no client for unanswered when an inner span of it was answered', () => {
    const peer = { 'server.address': 'api.internal' };
    const spans = [
      spanOf({ service: 'web', id: '1', kind: 'client', attributes: peer }),
      spanOf({ service: 'web', id: '2', parent: '1' }),
      spanOf({ service: 'api', id: '3', parent: '2', kind: 'server' }),
    ];
    for (const order of ordersOf(spans)) {
      expect(linksOf(buildServiceMap(order).dependencies)).toEqual({ 'web>api': [1, 0] });
    }
  });

  it('ends its search in a ring of parents', () => {
    const ring = [spanOf({ id: '1', parent: '2' }), spanOf({ id: '2', parent: '1' })];
    const spans = [...ring, spanOf({ id: '3', parent: '1', kind: 'server' })];
    for (const order of ordersOf(spans)) expect(buildServiceMap(order).dependencies).toEqual([]);
  });

  it('bounds the spans that wait and forgets them after their time', () => {
    const table = new EdgeTable({ maxPending: 5, joinMs: 100 });
    for (let i = 0; i < 50; i += 1) {
      table.observe(factsOf(spanOf({ id: `a${i}`, parent: `b${i}`, kind: 'server' })), i);
      table.observe(factsOf(spanOf({ id: `c${i}`, kind: 'client' })), i);
    }
    expect(table.pending).toBeLessThanOrEqual(10);
    expect(table.pending).toBeGreaterThanOrEqual(8);
    table.settle(49 + 100);
    expect(table.pending).toBe(0);
  });
});
