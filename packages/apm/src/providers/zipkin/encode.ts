import { isIPv4 } from 'node:net';
import type { Span, SpanAttributes, SpanBatch, SpanEvent, SpanScope } from '@mnops/core/spi';
import { named, textOf, wellFormed } from '../../encoding/plain-text.js';
import { type RemotePeer, remotePeerOf } from '../../encoding/remote-peer.js';

/** Who takes part in a call, as Zipkin writes it. */
export interface ZipkinEndpoint {
  readonly serviceName?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
}

/** One span as Zipkin v2 writes it. Times are microseconds. */
export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name?: string;
  readonly kind?: string;
  readonly timestamp?: number;
  readonly duration?: number;
  readonly localEndpoint: ZipkinEndpoint;
  readonly remoteEndpoint?: ZipkinEndpoint;
  readonly annotations?: readonly { readonly timestamp: number; readonly value: string }[];
  readonly tags?: Readonly<Record<string, string>>;
}

/** A batch as the JSON array that `POST /api/v2/spans` takes. */
export function encodeZipkin(batch: SpanBatch): string {
  const spans = batch.groups.flatMap(({ resource, scope, spans: ofGroup }) => {
    const common = commonTags(resource, scope);
    // Only service.name names the local side; a namespace would make another service of it.
    const localEndpoint = { serviceName: named(resource['service.name']) ?? 'unknown_service' };
    return ofGroup.map((span) => zipkinSpan(span, localEndpoint, common));
  });
  return JSON.stringify(spans);
}

function zipkinSpan(
  span: Span,
  localEndpoint: ZipkinEndpoint,
  common: readonly (readonly [string, string])[],
): ZipkinSpan {
  const peer = remotePeerOf(span);
  const timestamp = microseconds(span.startTimeUnixNano);
  const tags = tagsOf(span, common);
  return {
    traceId: span.traceId,
    id: span.spanId,
    ...(span.parentSpanId === undefined ? {} : { parentId: span.parentSpanId }),
    ...(span.name === '' ? {} : { name: wellFormed(span.name) }),
    ...(span.kind === 'internal' ? {} : { kind: span.kind.toUpperCase() }),
    ...(timestamp > 0 ? { timestamp } : {}),
    // Zipkin reads 0 as unknown.
    duration: Math.max(1, microseconds(span.durationNano)),
    localEndpoint,
    ...(peer === undefined ? {} : { remoteEndpoint: endpointOf(peer) }),
    ...(span.events.length === 0 ? {} : { annotations: span.events.map(annotationOf) }),
    ...(tags.size === 0 ? {} : { tags: Object.fromEntries(tags) }),
  };
}

function endpointOf({ name, address, port }: RemotePeer): ZipkinEndpoint {
  return {
    ...(name === undefined ? {} : { serviceName: name }),
    ...(address === undefined ? {} : isIPv4(address) ? { ipv4: address } : { ipv6: address }),
    ...(port === undefined ? {} : { port }),
  };
}

function annotationOf({ name, timeUnixNano, attributes }: SpanEvent): { timestamp: number; value: string } {
  const facts = wellFormed(JSON.stringify(attributes));
  const value = facts === '{}' ? wellFormed(name) : `${JSON.stringify(wellFormed(name))}: ${facts}`;
  return { timestamp: microseconds(timeUnixNano), value };
}

/** Tags that all spans of a group share. */
function commonTags(resource: SpanAttributes, { name, version }: SpanScope): readonly (readonly [string, string])[] {
  const tags: (readonly [string, string])[] = [];
  for (const [key, value] of Object.entries(resource)) {
    // The service is the local endpoint; an `error` here would make every span a failed one.
    if (key !== 'service.name' && key !== 'error') tags.push([wellFormed(key), textOf(value)]);
  }
  // Zipkin's readers know the scope by its old name, too.
  if (name !== '') tags.push(['otel.scope.name', wellFormed(name)], ['otel.library.name', wellFormed(name)]);
  if (version !== undefined && version !== '') {
    tags.push(['otel.scope.version', wellFormed(version)], ['otel.library.version', wellFormed(version)]);
  }
  return tags;
}

function tagsOf(span: Span, common: readonly (readonly [string, string])[]): Map<string, string> {
  const { attributes, status, dropped } = span;
  const tags = new Map<string, string>();
  for (const [key, value] of Object.entries(attributes)) tags.set(wellFormed(key), textOf(value));
  // Zipkin takes the mere presence of `error` for a failure.
  if (tags.get('error') === 'false') tags.delete('error');
  if (status.code !== 'unset') tags.set('otel.status_code', status.code.toUpperCase());
  if (status.code === 'error') tags.set('error', wellFormed(status.message ?? ''));
  if (dropped.attributes > 0) tags.set('otel.dropped_attributes_count', String(dropped.attributes));
  if (dropped.events > 0) tags.set('otel.dropped_events_count', String(dropped.events));
  if (dropped.links > 0) tags.set('otel.dropped_links_count', String(dropped.links));
  for (const [key, value] of common) if (!tags.has(key)) tags.set(key, value);
  return tags;
}

/** Whole microseconds; what a JSON number can hold until the year 2255. */
function microseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1_000n);
}
