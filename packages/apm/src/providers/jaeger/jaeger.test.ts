import { testCall, traceExporterContract } from '@mnops/core/testing';
import { part, partSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { otlpFake } from '../otlp/otlp.fake.js';
import { jaeger } from './index.js';

traceExporterContract({ describe, it }, 'jaeger', async () => {
  const fake = await otlpFake();
  return {
    provider: jaeger({ url: fake.server.url }),
    faults: fake.server,
    secrets: [],
    received: () => fake.spans.map(({ spanId }) => spanId),
    rejectNext: fake.rejectNext,
    close: () => fake.server.close(),
  };
});

describe('jaeger', () => {
  it('has a name of its own and refuses wrong options by name', () => {
    expect(jaeger().id).toBe('jaeger');
    expect(() => jaeger({ host: 'x' } as unknown as { url: string })).toThrow('host');
  });
});

/** A trace as Jaeger's query service tells it. */
interface JaegerTrace {
  readonly spans: readonly {
    readonly spanID: string;
    readonly operationName: string;
    readonly references: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[];
    readonly startTime: number;
    readonly duration: number;
    readonly processID: string;
    readonly tags: readonly { readonly key: string; readonly value: unknown }[];
    readonly logs: readonly {
      readonly timestamp: number;
      readonly fields: readonly { readonly key: string; readonly value: unknown }[];
    }[];
  }[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

partSuite({ describe, it }, 'jaeger', 'spans in a real Jaeger', () => {
  it('come back with ids, names, parents, tags, times, events and services, and make its map', async () => {
    const server = await part('jaeger').start();
    const exporter = jaeger({ url: server.otlpUrl });
    try {
      const startMs = Date.now() - 1_000;
      const traceId = '5b8efff798038103d269b633813fc60c';
      const root = spanOf({
        service: 'web',
        trace: traceId,
        id: 'a1',
        name: 'GET /',
        kind: 'server',
        startMs,
        durationMs: 12.345,
      });
      const call = spanOf({
        service: 'web',
        trace: traceId,
        id: 'a2',
        parent: 'a1',
        name: 'call',
        kind: 'client',
        startMs: startMs + 1,
      });
      const called = {
        ...spanOf({
          service: 'api',
          trace: traceId,
          id: 'a3',
          parent: 'a2',
          name: 'GET /items ☂',
          kind: 'server',
          startMs: startMs + 2,
          durationMs: 3,
          error: true,
          attributes: { text: 'ä', whole: 7, fraction: 0.5, yes: true, list: ['a', 'b'] },
        }),
        events: [{ name: 'loaded', timeUnixNano: BigInt(startMs + 3) * 1_000_000n, attributes: { rows: 3 } }],
        links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes: {} }],
      };
      const answer = await exporter.export(batchOf([root, call, called]), testCall());
      expect(answer).toEqual({ accepted: 3, rejected: 0 });

      const { data } = await server.ask<{ data: readonly JaegerTrace[] }>(
        `/api/traces/${traceId}`,
        ({ data: found }) => found[0]?.spans.length === 3,
      );
      const { spans, processes } = data[0] as JaegerTrace;
      const byId = new Map(spans.map((span) => [span.spanID, span]));
      const seen = [root, call, called].map(({ spanId }) => byId.get(spanId));
      expect(seen.map((span) => [span?.operationName, processes[span?.processID ?? '']?.serviceName])).toEqual([
        ['GET /', 'web'],
        ['call', 'web'],
        ['GET /items ☂', 'api'],
      ]);
      expect(seen.map((span) => [span?.startTime, span?.duration])).toEqual([
        [startMs * 1_000, 12_345],
        [(startMs + 1) * 1_000, 10_000],
        [(startMs + 2) * 1_000, 3_000],
      ]);
      expect(seen[0]?.references).toEqual([]);
      expect(seen[2]?.references).toEqual([
        { refType: 'CHILD_OF', traceID: traceId, spanID: call.spanId },
        { refType: 'FOLLOWS_FROM', traceID: 'c'.repeat(32), spanID: 'd'.repeat(16) },
      ]);
      const tags = Object.fromEntries(seen[2]?.tags.map(({ key, value }) => [key, value]) ?? []);
      expect(tags).toMatchObject({
        text: 'ä',
        whole: 7,
        fraction: 0.5,
        yes: true,
        list: '["a","b"]',
        error: true,
        'span.kind': 'server',
      });
      expect(seen[2]?.logs[0]?.timestamp).toBe((startMs + 3) * 1_000);
      expect(Object.fromEntries(seen[2]?.logs[0]?.fields.map(({ key, value }) => [key, value]) ?? [])).toEqual({
        event: 'loaded',
        rows: 3,
      });

      const services = await server.ask<{ data: readonly string[] }>(
        '/api/services',
        ({ data: names }) => names.length >= 2,
      );
      expect(services.data).toEqual(expect.arrayContaining(['web', 'api']));
      const map = await server.ask<{ data: readonly unknown[] }>(
        `/api/dependencies?endTs=${Date.now() + 60_000}&lookback=3600000`,
        ({ data: links }) => links.length > 0,
      );
      expect(map.data).toMatchObject([{ parent: 'web', child: 'api', callCount: 1 }]);
    } finally {
      await exporter.close?.(testCall());
      await server.stop();
    }
  });
});
