import { httpClient } from '@mnops/core/http';
import type { Span } from '@mnops/core/spi';
import { eventually, testCall } from '@mnops/core/testing';
import { partSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { datadog } from './index.js';

interface AgentSpan {
  readonly span_id: number;
  readonly name: string;
  readonly service: string;
  readonly error: number;
  readonly meta: Record<string, string>;
  readonly metrics: Record<string, number>;
  readonly span_events?: readonly unknown[];
}

const root: Span = {
  ...spanOf({ service: 'shop', id: '1', name: 'GET /items', kind: 'server', error: true }),
  traceId: `${'a'.repeat(16)}0000000000000001`,
  attributes: { component: 'http', 'http.request.method': 'GET', 'http.response.status_code': 500 },
  events: [
    {
      name: 'exception',
      timeUnixNano: 1_700_000_000_944_999_937n,
      attributes: { 'exception.type': 'E', 'exception.message': 'said "no"\n', 'exception.stacktrace': 'at x' },
    },
  ],
  links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes: { why: 'batch' } }],
};
const query: Span = {
  ...spanOf({ id: '2', parent: '1', name: 'SELECT ☂', kind: 'client', attributes: { 'peer.service': 'orders-db' } }),
  traceId: root.traceId,
  resource: root.resource,
};

partSuite({ describe, it }, 'ddapm', "Datadog's own test agent", (part) => {
  it('finds nothing wrong and has what was sent', { timeout: 120_000 }, async () => {
    const agent = await part.start();
    // With these an agent holds the spans to the names that a tracer was configured with.
    const headers = { 'x-datadog-trace-env-variables': 'DD_SERVICE=shop,DD_TRACE_SPAN_ATTRIBUTE_SCHEMA=v1' };
    const client = httpClient({ headers });
    try {
      const exporter = datadog({ url: agent.url, client });
      const other = spanOf({ service: 'shop', trace: '2', id: '3', name: '' });
      const answer = await exporter.export(batchOf([query, root, { ...other, resource: root.resource }]), testCall());
      expect(answer).toEqual({ accepted: 3, rejected: 0, samplingRates: new Map() });
      expect(await agent.failures()).toBe('');
      const summary = (await agent.get('/test/trace_check/summary')) as Record<string, { Passed_Checks: number }>;
      for (const check of ['trace_count_header', 'trace_content_length', 'trace_peer_service', 'trace_dd_service']) {
        expect([check, summary[check]?.Passed_Checks ?? 0]).not.toEqual([check, 0]);
      }
      const traces = (await agent.get('/test/traces')) as AgentSpan[][];
      const spans = traces.flat().sort((a, b) => a.span_id - b.span_id);
      expect(spans.map(({ span_id, name, service, error }) => [span_id, name, service, error])).toEqual([
        [1, 'GET /items', 'shop', 1],
        [2, 'SELECT ☂', 'shop', 0],
        [3, 'unnamed_operation', 'shop', 0],
      ]);
      expect(spans[0]).toMatchObject({
        resource: 'GET /items',
        type: 'web',
        meta: {
          '_dd.p.tid': 'a'.repeat(16),
          '_dd.p.dm': '-0',
          'http.status_code': '500',
          'error.message': 'said "no"\n',
          'error.type': 'E',
        },
        metrics: { _sampling_priority_v1: 1, '_dd.top_level': 1, '_dd.measured': 1 },
      });
      expect(JSON.parse(spans[0]?.meta['events'] ?? '')).toHaveLength(1);
      // It says in /info that it reads native events, and is asked after the first batch that has some.
      let id = 16;
      await eventually(
        async () => {
          id += 1;
          const again: Span = {
            ...root,
            spanId: id.toString(16).padStart(16, '0'),
            traceId: id.toString(16).padStart(32, '0'),
          };
          await exporter.export(batchOf([again]), testCall());
          const sent = ((await agent.get('/test/traces')) as AgentSpan[][])
            .flat()
            .find(({ span_id }) => span_id === id);
          expect(sent?.meta).not.toHaveProperty('events');
          expect(sent?.span_events).toEqual([
            {
              name: 'exception',
              time_unix_nano: expect.any(Number),
              attributes: {
                'exception.type': { type: 0, string_value: 'E' },
                'exception.message': { type: 0, string_value: 'said "no"\n' },
                'exception.stacktrace': { type: 0, string_value: 'at x' },
              },
            },
          ]);
        },
        { timeoutMs: 60_000 },
      );
      expect(await agent.failures()).toBe('');
      await exporter.close?.(testCall());
    } finally {
      await client.close();
      await agent.stop();
    }
  });

  it('asks for rates, which come back with the answer', { timeout: 120_000 }, async () => {
    const agent = await part.start();
    const exporter = datadog({ url: agent.url });
    try {
      const rates = encodeURIComponent('{"service:shop,env:": 0.25}');
      await (await fetch(`${agent.url}/test/session/start?agent_sample_rate_by_service=${rates}`)).text();
      const { samplingRates } = await exporter.export(batchOf([root]), testCall());
      expect([...(samplingRates ?? [])]).toEqual([['service:shop,env:', 0.25]]);
    } finally {
      await exporter.close?.(testCall());
      await agent.stop();
    }
  });
});
