import type { Span, SpanAttributes } from '@mnops/core/spi';
import { cut, named } from '../../encoding/plain-text.js';
import { remotePeerOf } from '../../encoding/remote-peer.js';

/** Elastic's words for what a span did. */
export interface SpanType {
  readonly type: string;
  readonly subtype?: string | undefined;
  /** What it talked to, for the service map. */
  readonly target?: { readonly type: string; readonly name?: string } | undefined;
}

const maxKeyword = 1_024;

/** The type of a transaction (Elastic's specification of its OpenTelemetry bridge). */
export function transactionTypeOf({ kind, attributes }: Span): string {
  if (kind === 'server' && (first(attributes, 'rpc.system') !== undefined || isHttp(attributes))) return 'request';
  if ((kind === 'consumer' || kind === 'producer') && first(attributes, 'messaging.system') !== undefined) {
    return 'messaging';
  }
  return 'unknown';
}

/** The type of a span and what it talked to. */
export function spanTypeOf(span: Span): SpanType {
  const { kind, attributes } = span;
  const database = first(attributes, 'db.system.name', 'db.system');
  if (database !== undefined) return typed('db', database, first(attributes, 'db.namespace', 'db.name'));
  const broker = first(attributes, 'messaging.system');
  if (broker !== undefined) {
    const queue = first(attributes, 'messaging.destination.name', 'messaging.destination');
    return typed('messaging', broker, queue);
  }
  const rpc = first(attributes, 'rpc.system');
  if (rpc !== undefined) return typed('external', rpc, hostOf(span) ?? first(attributes, 'rpc.service'));
  if (isHttp(attributes) && kind !== 'internal') return typed('external', 'http', hostOf(span));
  return kind === 'internal' ? { type: 'app', subtype: 'internal' } : { type: 'unknown' };
}

function typed(type: string, subtype: string, name: string | undefined): SpanType {
  const kept = cut(subtype, maxKeyword);
  return {
    type,
    subtype: kept,
    target: { type: kept, ...(name === undefined ? {} : { name: cut(name, maxKeyword) }) },
  };
}

/** Host and port of the far side. */
function hostOf(span: Span): string | undefined {
  const peer = remotePeerOf(span);
  if (peer !== undefined) {
    const host = peer.name ?? (peer.address?.includes(':') === true ? `[${peer.address}]` : peer.address);
    return peer.port === undefined ? host : `${host}:${peer.port}`;
  }
  const url = first(span.attributes, 'url.full', 'http.url');
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}

function isHttp(attributes: SpanAttributes): boolean {
  return (
    first(attributes, 'http.request.method', 'http.method', 'url.full', 'http.url', 'url.scheme', 'http.scheme') !==
    undefined
  );
}

function first(attributes: SpanAttributes, ...keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = named(attributes[key]);
    if (value !== undefined) return value;
  }
  return undefined;
}
