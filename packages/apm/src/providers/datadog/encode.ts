import type { Span, SpanBatch } from '@mnops/core/spi';
import { MessagePackWriter } from '../../encoding/msgpack-writer.js';
import { cut, named, wellFormed } from '../../encoding/plain-text.js';
import { samplingFactsOf } from './sampling-facts.js';
import { writeSpanEvents } from './span-events.js';
import { chunkTagsOf, type SpanTags, tagsOf } from './span-tags.js';
import { chunksOf, type TraceChunk } from './trace-chunks.js';

/** What the exporter knows of its own process. */
export interface OwnProcess {
  readonly runtimeId: string;
  readonly pid: number;
}

/** A batch as the agent's v0.4 takes it. */
export interface DatadogPayload {
  readonly bytes: Uint8Array;
  /** Chunks in it. */
  readonly traceCount: number;
}

/** What an agent can read beside what all of them do. */
export interface AgentAbilities {
  /** Events in a list of their own. Without it they are JSON in one text, cut at its limit. */
  readonly spanEvents: boolean;
}

// datadog-agent, pkg/trace/traceutil.
const maxName = 100;
const maxResource = 5_000;

/** A batch in MessagePack: a list of traces, each a list of spans of one process. */
export function encodeDatadog(batch: SpanBatch, own: OwnProcess, { spanEvents }: AgentAbilities): DatadogPayload {
  const chunks = chunksOf(batch);
  const writer = new MessagePackWriter();
  writer.list(chunks.length);
  for (const chunk of chunks) writeChunk(writer, chunk, own, spanEvents);
  return { bytes: writer.bytes(), traceCount: chunks.length };
}

function writeChunk(writer: MessagePackWriter, chunk: TraceChunk, own: OwnProcess, nativeEvents: boolean): void {
  const shared = chunkTagsOf(chunk, own);
  const high = chunk.traceId.slice(0, 16);
  writer.list(chunk.spans.length);
  chunk.spans.forEach((part, index) => {
    const sampling = samplingFactsOf(part.span);
    const service = named(part.span.attributes['service.name']) ?? shared.service;
    const tags = tagsOf(part, shared, sampling, { service, nativeEvents });
    if (index === 0) {
      // The wire has 64 bits for the id; the upper half goes beside it.
      if (high !== '0'.repeat(16)) tags.meta.set('_dd.p.tid', high);
      if (sampling.decisionMaker !== undefined) tags.meta.set('_dd.p.dm', sampling.decisionMaker);
    }
    writeSpan(writer, { span: part.span, service, nativeEvents }, tags);
  });
}

function writeSpan(
  writer: MessagePackWriter,
  { span, service, nativeEvents }: { readonly span: Span; readonly service: string; readonly nativeEvents: boolean },
  { meta, metrics }: SpanTags,
): void {
  const { attributes } = span;
  const type = named(attributes['span.type']) ?? typeOf(span);
  const name = named(attributes['operation.name']) ?? (span.name === '' ? 'unnamed_operation' : wellFormed(span.name));
  const hasEvents = nativeEvents && span.events.length > 0;
  writer.map(11 + (type === undefined ? 0 : 1) + (hasEvents ? 1 : 0));
  writer.text('trace_id');
  writer.unsigned64(identifier(span.traceId.slice(16)));
  writer.text('span_id');
  writer.unsigned64(identifier(span.spanId));
  writer.text('parent_id');
  writer.unsigned64(identifier(span.parentSpanId ?? '0'));
  writer.text('name');
  writer.text(cut(name, maxName));
  writer.text('resource');
  writer.text(cut(named(attributes['resource.name']) ?? named(span.name) ?? name, maxResource));
  writer.text('service');
  writer.text(cut(service, maxName));
  if (type !== undefined) {
    writer.text('type');
    writer.text(cut(type, maxName));
  }
  writer.text('error');
  writer.small(span.status.code === 'error' ? 1 : 0);
  writer.text('start');
  writer.signed64(span.startTimeUnixNano);
  writer.text('duration');
  writer.signed64(span.durationNano);
  writer.text('meta');
  writer.map(meta.size);
  for (const [key, value] of meta) {
    writer.text(key);
    writer.text(value);
  }
  writer.text('metrics');
  writer.map(metrics.size);
  for (const [key, value] of metrics) {
    writer.text(key);
    writer.float64(value);
  }
  if (!hasEvents) return;
  writer.text('span_events');
  writeSpanEvents(writer, span.events);
}

/** Datadog's kind of work, which chooses the icon and the page of a span. */
function typeOf({ kind, attributes }: Span): string | undefined {
  const has = (...keys: readonly string[]): boolean => keys.some((key) => attributes[key] !== undefined);
  if (kind === 'producer' || kind === 'consumer') return 'queue';
  if (kind === 'server') return has('http.request.method', 'http.method', 'http.route') ? 'web' : undefined;
  if (kind !== 'client') return undefined;
  const database = attributes['db.system.name'] ?? attributes['db.system'];
  if (database !== undefined) return database === 'redis' || database === 'memcached' ? 'cache' : 'sql';
  return has('http.request.method', 'http.method') ? 'http' : undefined;
}

function identifier(hexadecimal: string): bigint {
  return BigInt(`0x${hexadecimal}`);
}
