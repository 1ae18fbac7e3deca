import type { Span } from '@mnops/core/spi';
import { eventually, testCall } from '@mnops/core/testing';
import { partSuite, type ZipkinServer } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildServiceMap } from '../../analysis/service-map.js';
import { batchOf } from '../../delivery/span-queue.js';
import { mapCases } from '../../testing/map-cases.js';
import { spanOf } from '../../testing/spans.js';
import type { ZipkinSpan } from './encode.js';
import { zipkin } from './index.js';

/** Spans of one case under names and a trace of their own, so that all cases fit into one server. */
function apart(spans: readonly Span[], index: number): Span[] {
  const prefix = `case${index}-`;
  return spans.map((span) => ({
    ...span,
    // Zipkin finds the spans of its map by the lower half of the id.
    traceId: (index + 1).toString(16).padStart(32, 'a'),
    startTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
    resource: { ...span.resource, 'service.name': `${prefix}${String(span.resource['service.name'])}` },
    attributes: Object.fromEntries(
      Object.entries(span.attributes).map(([key, value]) => [
        key,
        /^(peer\.service|db\.name)$/.test(key) ? `${prefix}${String(value)}` : value,
      ]),
    ),
  }));
}

type Links = Record<string, [calls: number, errors: number]>;

function ours(spans: readonly Span[]): Links {
  return Object.fromEntries(
    buildServiceMap(spans).dependencies.map(({ client, server, calls, errors }) => [
      `${client}>${server}`,
      [calls, errors],
    ]),
  );
}

/** What Zipkin says of all cases, by case. */
async function theirs(server: ZipkinServer): Promise<Links[]> {
  const links = (await server.get(`/api/v2/dependencies?endTs=${Date.now() + 60_000}&lookback=86400000`)) as {
    parent: string;
    child: string;
    callCount: number;
    errorCount?: number;
  }[];
  const cases: Links[] = mapCases.map(() => ({}));
  for (const { parent, child, callCount, errorCount = 0 } of links) {
    const known = cases[Number(/^case(\d+)-/.exec(parent)?.[1])];
    if (known !== undefined) known[`${parent}>${child}`] = [callCount, errorCount];
  }
  return cases;
}

/** Links under the title of their case, for readable differences. */
function named(links: readonly Links[]): [title: string, links: Links][] {
  return mapCases.map(({ title }, index) => [title, links[index] ?? {}]);
}

partSuite({ describe, it }, 'zipkin', 'a real Zipkin', (part) => {
  let server: ZipkinServer;
  beforeAll(async () => {
    server = await part.start();
  }, 240_000);
  afterAll(async () => await server?.stop());

  async function send(spans: readonly Span[]): Promise<void> {
    const exporter = zipkin({ url: server.url });
    const answer = await exporter.export(batchOf(spans), testCall());
    expect(answer).toEqual({ accepted: spans.length, rejected: 0 });
    await exporter.close?.(testCall());
  }

  /** The trace as the server has it, once it has all of these spans. */
  async function stored(spans: readonly Span[]): Promise<ZipkinSpan[]> {
    let found: ZipkinSpan[] = [];
    await eventually(
      async () => {
        found = ((await server.get(`/api/v2/trace/${spans[0]?.traceId}`)) as ZipkinSpan[] | undefined) ?? [];
        return found.length === spans.length;
      },
      { timeoutMs: 30_000 },
    );
    return found;
  }

  it('takes a span of every shape and gives it back', { timeout: 60_000 }, async () => {
    const traceId = 'e'.repeat(32);
    const span: Span = {
      ...spanOf({ service: 'Web', id: '1', parent: '2', name: 'GET /Items', kind: 'client', error: true }),
      traceId,
      startTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
      attributes: {
        'server.address': '10.0.0.5',
        'server.port': 8080,
        list: ['a', null],
        '': 'empty key',
        half: 'x\ud83d',
      },
      events: [{ name: 'retry', timeUnixNano: BigInt(Date.now()) * 1_000_000n, attributes: { attempt: 2 } }],
      dropped: { attributes: 1, events: 0, links: 0 },
    };
    const bare: Span = { ...spanOf({ service: 'Web', id: '2', name: '' }), traceId, durationNano: 0n };
    await send([span, bare]);
    const back = await stored([span, bare]);
    expect(back.find(({ id }) => id === span.spanId)).toMatchObject({
      traceId,
      parentId: bare.spanId,
      kind: 'CLIENT',
      name: 'get /items',
      duration: 10_000,
      localEndpoint: { serviceName: 'web' },
      remoteEndpoint: { ipv4: '10.0.0.5', port: 8080 },
      annotations: [{ value: '"retry": {"attempt":2}' }],
      tags: {
        '': 'empty key',
        error: '',
        half: 'x\ufffd',
        list: '["a",null]',
        'otel.status_code': 'ERROR',
        'otel.dropped_attributes_count': '1',
      },
    });
    expect(back.find(({ id }) => id === bare.spanId)).toMatchObject({ duration: 1 });
  });

  it('draws the same map', { timeout: 120_000 }, async () => {
    const cases = mapCases.map(({ spans }, index) => apart(spans, index));
    for (const spans of cases) await send(spans);
    for (const spans of cases) await stored(spans);
    const found = named(await theirs(server));
    expect(named(cases.map(ours))).toEqual(found);
    // So that what is expected without a server is what the server says.
    const expected = mapCases.map(({ links }, index) =>
      Object.fromEntries(
        Object.entries(links).map(([key, value]) => [key.replace(/^|(?<=>)/g, `case${index}-`), value]),
      ),
    );
    expect(named(expected as Links[])).toEqual(found);
  });
});
