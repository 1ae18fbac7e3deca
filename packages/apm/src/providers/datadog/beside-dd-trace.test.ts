import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Span } from '@mnops/core/spi';
import { faultServer } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { decodeMsgpack, numberForms } from '../../testing/msgpack.js';
import { spanOf } from '../../testing/spans.js';
import { encodeDatadog } from './encode.js';

type Fields = Record<string, unknown>;
type Body = (Fields & { meta: Fields; metrics: Fields; span_events?: Fields[] })[][];
interface Sent {
  readonly ids: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly body: Uint8Array;
}

/** What dd-trace itself sends to an agent for the spans of the process. */
async function sentByPeer(nativeEvents: boolean): Promise<Sent> {
  const server = await faultServer();
  server.handler(() => ({ body: {} }));
  let child: ChildProcess | undefined;
  try {
    const program = fileURLToPath(new URL('../../testing/datadog-peer-process.ts', import.meta.url));
    const env = {
      ...process.env,
      DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
      DD_REMOTE_CONFIGURATION_ENABLED: 'false',
      DD_TRACE_GIT_METADATA_ENABLED: 'false',
      DD_TRACE_NATIVE_SPAN_EVENTS: String(nativeEvents),
    };
    child = spawn(process.execPath, ['--import', 'tsx', program, server.url], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(0);
    const body = server.requests.find(({ url }) => url === '/v0.4/traces')?.body;
    if (body === undefined) throw new Error('dd-trace sent nothing');
    return { ids: JSON.parse(text) as Sent['ids'], body };
  } finally {
    child?.kill('SIGKILL');
    await server.close();
  }
}

/** The same spans as this package knows them. */
function spansOf(ids: Sent['ids']): Span[] {
  const startNano = 1_700_000_000_945_000_000n;
  const made = (index: number, name: string, startMs: bigint, endMs: bigint, more: Partial<Span>): Span => ({
    ...spanOf({ id: '1', name }),
    ...ids[index],
    parentSpanId: index === 0 ? undefined : ids[0]?.spanId,
    parentIsRemote: index === 0 ? undefined : false,
    startTimeUnixNano: startNano + startMs * 1_000_000n,
    durationNano: (endMs - startMs) * 1_000_000n,
    resource,
    scope: { name: 'shop-tracer', version: '3.1' },
    ...more,
  });
  const resource = {
    'service.name': 'shop',
    'service.version': '1.2',
    'deployment.environment': 'prod',
    'telemetry.sdk.language': 'nodejs',
  };
  return [
    made(0, 'GET /items', 0n, 9n, {
      kind: 'server',
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/items',
        cached: true,
        share: 0.5,
        big: 5_000_000_000,
      },
      events: [
        {
          name: 'retry "it"',
          timeUnixNano: startNano + 1_000_000n,
          attributes: { attempt: 2, share: 0.25, last: false, why: 'busy ☂', hosts: ['a', 'b'] },
        },
      ],
    }),
    made(1, 'SELECT items', 2n, 5n, {
      kind: 'client',
      attributes: { 'db.system': 'postgresql' },
      status: { code: 'error', message: 'no connection' },
      links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), attributes: { why: 'batch' } }],
    }),
    made(2, 'sum', 5n, 6n, { kind: 'internal' }),
  ];
}

// What dd-trace says of itself and of its configuration, and the process's own id for this run.
const ofPeerOnly = [
  '_dd.tags.process',
  '_dd.integration',
  '_dd.sdk.otlp_export',
  '_dd.agent_psr',
  'service',
  'runtime-id',
];
// What this package says beside: who made the span, and names that Datadog's pages look for.
const ofOursOnly = [
  'otel.scope.name',
  'otel.scope.version',
  'http.method',
  'runtime-id',
  'telemetry.sdk.language',
  'deployment.environment',
];

function without(fields: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([key]) => !keys.includes(key))
      .map(([key, value]) => [key, typeof value === 'bigint' ? Number(value) : value]),
  );
}

function comparable(body: Uint8Array, keys: readonly string[]): unknown[] {
  return (decodeMsgpack(body) as Body)
    .flat()
    .map(({ meta, metrics, start, duration, span_events, type: _, ...rest }) => ({
      ...rest,
      // dd-trace rounds to what a JavaScript number holds.
      start: Math.round(Number(start) / 1_000),
      duration: Number(duration),
      meta: without({ ...meta, '_dd.span_links': linksOf(meta), events: eventsOf(meta['events']) }, keys),
      metrics: without(metrics, [...keys, 'process_id']),
      events: span_events?.map(({ time_unix_nano, ...event }) => ({
        ...JSON.parse(JSON.stringify(event, (_key, value) => (typeof value === 'bigint' ? Number(value) : value))),
        time: Math.round(Number(time_unix_nano) / 1_000),
      })),
    }));
}

/** Links of dd-trace have flags, which spans here do not know of a link. */
function linksOf(meta: Fields): unknown {
  const text = meta['_dd.span_links'];
  if (typeof text !== 'string') return undefined;
  return (JSON.parse(text) as Fields[]).map((link) => without(link, ['flags']));
}

function eventsOf(text: unknown): unknown {
  if (typeof text !== 'string') return undefined;
  return (JSON.parse(text) as Fields[]).map((event) => ({
    ...event,
    time_unix_nano: Math.round(Number(event['time_unix_nano']) / 1_000),
  }));
}

describe('beside what dd-trace sends for the same spans', () => {
  it.each([true, false])('says the same, native events %s', { timeout: 120_000 }, async (spanEvents) => {
    const { ids, body } = await sentByPeer(spanEvents);
    const { bytes } = encodeDatadog(batchOf(spansOf(ids)), { runtimeId: 'own', pid: 1 }, { spanEvents });
    expect(comparable(bytes, ofOursOnly)).toHaveLength(3);
    expect(comparable(bytes, ofOursOnly)).toEqual(comparable(body, ofPeerOnly));
    const theirs = numberForms(body);
    const ours = numberForms(bytes);
    // Ids are unsigned on both sides and errors one byte; all else an agent reads in any form. Numbers of tags are floats
    // there: dd-trace shortens whole ones. Times: the agent has whole numbers, and dd-trace makes floats of events'.
    const forms = new Set<string>();
    for (const [path, form] of ours) {
      const other = theirs.get(path);
      if (other === undefined || other === form) continue;
      const field = path
        .split('.')
        .slice(2)
        .join('.')
        .replace(/^metrics\..*/, 'metrics')
        .replace(/\d+/, 'n');
      forms.add(`${field}: ${form}, ${other}`);
    }
    const expected = [
      'start: signed, unsigned',
      'duration: signed, unsigned',
      'metrics: float, small',
      'metrics: float, unsigned',
    ];
    const ofEvents = [
      'span_events.n.time_unix_nano: unsigned, float',
      'span_events.n.attributes.attempt.int_value: signed, small',
    ];
    expect([...forms].sort()).toEqual((spanEvents ? [...expected, ...ofEvents] : expected).sort());
    for (const path of ['0.0.trace_id', '0.1.span_id', '0.2.parent_id']) expect(ours.get(path)).toBe('unsigned');
    expect([ours.get('0.1.error'), ours.get('0.0.metrics.share')]).toEqual(['small', 'float']);
  });
});
