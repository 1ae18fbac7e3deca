import type { Span, SpanAttributes, SpanEvent, SpanScope } from '@mnops/core/spi';
import { cut, named, textOf, wellFormed } from '../../encoding/plain-text.js';
import type { SamplingFacts } from './sampling-facts.js';
import type { ChunkSpan, TraceChunk } from './trace-chunks.js';

// What an agent cuts at (datadog-agent, pkg/trace/traceutil): names of tags and their texts.
export const maxKey = 200;
export const maxValue = 25_000;

/** The tags of one span: texts, and numbers. */
export interface SpanTags {
  readonly meta: Map<string, string>;
  readonly metrics: Map<string, number>;
}

/** What is the same for all spans of a chunk. */
export interface ChunkTags {
  readonly meta: readonly (readonly [string, string])[];
  readonly metrics: readonly (readonly [string, number])[];
  readonly service: string;
}

// Attributes with a name of their own at Datadog, where its pages and figures look for them.
const aliases: readonly (readonly [string, string])[] = [
  ['http.request.method', 'http.method'],
  ['http.response.status_code', 'http.status_code'],
  ['url.full', 'http.url'],
  ['user_agent.original', 'http.useragent'],
];
// Told to Datadog under names of its own.
const resourceNames = new Set(['service.name', 'service.version', 'deployment.environment', 'process.pid']);

/** The tags that the process gives to each of its spans. */
export function chunkTagsOf(
  { resource }: TraceChunk,
  own: { readonly runtimeId: string; readonly pid: number },
): ChunkTags {
  const text = (key: string): string | undefined => named(resource[key]);
  const language = text('telemetry.sdk.language') ?? 'nodejs';
  const environment = text('deployment.environment.name') ?? text('deployment.environment');
  const version = text('service.version');
  const meta: (readonly [string, string])[] = [
    ['language', language === 'nodejs' ? 'javascript' : language],
    ['runtime-id', text('service.instance.id') ?? own.runtimeId],
  ];
  if (environment !== undefined) meta.push(['env', cut(environment, maxValue)]);
  if (version !== undefined) meta.push(['version', cut(version, maxValue)]);
  for (const [key, value] of Object.entries(resource)) {
    if (!resourceNames.has(key)) meta.push([cut(wellFormed(key), maxKey), cut(textOf(value), maxValue)]);
  }
  const pid = Number(resource['process.pid'] ?? own.pid);
  return {
    meta,
    metrics: Number.isSafeInteger(pid) ? [['process_id', pid]] : [],
    service: text('service.name') ?? 'unknown_service',
  };
}

/** The tags of one span. Its own attributes win over those of its process. */
export function tagsOf(
  { span, scope, isLocalRoot }: ChunkSpan,
  shared: ChunkTags,
  sampling: SamplingFacts,
  { service, nativeEvents }: { readonly service: string; readonly nativeEvents: boolean },
): SpanTags {
  const tags: SpanTags = { meta: new Map(), metrics: new Map() };
  for (const [key, value] of Object.entries(span.attributes)) addAttribute(tags, key, value);
  for (const [from, to] of aliases) {
    const value = span.attributes[from];
    if (value !== undefined && span.attributes[to] === undefined) addAttribute(tags, to, value);
  }
  const { meta, metrics } = tags;
  meta.set('span.kind', span.kind);
  addStatus(meta, span);
  addScope(meta, scope);
  const links = linksText(span);
  if (links !== undefined) meta.set('_dd.span_links', links);
  const events = nativeEvents ? undefined : eventsText(span.events);
  if (events !== undefined) meta.set('events', events);
  if (service.toLowerCase() !== shared.service.toLowerCase())
    meta.set('_dd.base_service', cut(shared.service, maxValue));
  // The agent wants to know that the name was not guessed.
  if (meta.has('peer.service')) meta.set('_dd.peer.service.source', 'peer.service');
  if (sampling.origin !== undefined) meta.set('_dd.origin', sampling.origin);
  for (const [key, value] of shared.meta) if (!meta.has(key) && !metrics.has(key)) meta.set(key, value);
  for (const [key, value] of shared.metrics) metrics.set(key, value);
  metrics.set('_sampling_priority_v1', sampling.priority);
  if (isLocalRoot) metrics.set('_dd.top_level', 1);
  if (span.kind !== 'internal') metrics.set('_dd.measured', 1);
  return tags;
}

/** Texts and lists go to `meta`, numbers and booleans to `metrics`; the status of HTTP is a text for Datadog. */
function addAttribute({ meta, metrics }: SpanTags, key: string, value: SpanAttributes[string]): void {
  const name = cut(wellFormed(key), maxKey);
  if (key === 'http.status_code' || typeof value === 'string' || typeof value === 'object') {
    meta.set(name, cut(textOf(value), maxValue));
  } else if (typeof value === 'boolean') metrics.set(name, value ? 1 : 0);
  else if (Number.isFinite(value)) metrics.set(name, value);
}

function addStatus(meta: Map<string, string>, { status, events }: Span): void {
  if (status.code !== 'error') return;
  const exception = events.findLast(({ name }) => name === 'exception')?.attributes ?? {};
  for (const [tag, value] of [
    ['error.message', status.message ?? named(exception['exception.message'])],
    ['error.type', meta.get('error.type') ?? named(exception['exception.type'])],
    ['error.stack', named(exception['exception.stacktrace'])],
  ] as const) {
    if (value !== undefined) meta.set(tag, cut(wellFormed(value), maxValue));
  }
}

function addScope(meta: Map<string, string>, { name, version }: SpanScope): void {
  if (name !== '' && !meta.has('otel.scope.name')) meta.set('otel.scope.name', cut(wellFormed(name), maxValue));
  if (version !== undefined && version !== '' && !meta.has('otel.scope.version')) {
    meta.set('otel.scope.version', cut(wellFormed(version), maxValue));
  }
}

function linksText({ links }: Span): string | undefined {
  return jsonList(
    links.map(({ traceId, spanId, traceState, attributes }) => {
      const facts = Object.entries(attributes).map(([key, value]) => [wellFormed(key), textOf(value)] as const);
      return JSON.stringify({
        trace_id: traceId,
        span_id: spanId,
        ...(facts.length === 0 ? {} : { attributes: Object.fromEntries(facts) }),
        ...(traceState === undefined ? {} : { tracestate: wellFormed(traceState) }),
      });
    }),
  );
}

function eventsText(events: readonly SpanEvent[]): string | undefined {
  return jsonList(
    events.map(({ name, timeUnixNano, attributes }) => {
      const facts = wellFormed(JSON.stringify(attributes));
      const rest = facts === '{}' ? '' : `,"attributes":${facts}`;
      // Written by hand: a JavaScript number cannot hold the nanoseconds.
      return `{"name":${JSON.stringify(wellFormed(name))},"time_unix_nano":${timeUnixNano}${rest}}`;
    }),
  );
}

/** As many items as one tag can hold, in a list that stays JSON; `undefined` when there is none. */
function jsonList(items: readonly string[]): string | undefined {
  const fitting: string[] = [];
  let length = 2;
  for (const item of items) {
    if (length + item.length + 1 > maxValue) continue;
    length += item.length + 1;
    fitting.push(item);
  }
  return fitting.length === 0 ? undefined : `[${fitting.join(',')}]`;
}
