import { isIP } from 'node:net';
import type { Span, SpanAttributes } from '@mnops/core/spi';
import { named } from './plain-text.js';

/** The far side of a call, as the near side names it. One of `name` and `address` is there. */
export interface RemotePeer {
  readonly name?: string | undefined;
  /** IPv4 or IPv6 address. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

// OpenTelemetry's order for a remote endpoint (specification, trace/sdk_exporters/zipkin.md), with the current name of
// `peer.service` in front. The second name is that of the port.
const peerKeys: readonly (readonly [key: string, portKey?: string])[] = [
  ['service.peer.name'],
  ['peer.service'],
  ['server.address', 'server.port'],
  ['net.peer.name', 'net.peer.port'],
  ['network.peer.address', 'network.peer.port'],
  ['server.socket.domain'],
  ['server.socket.address', 'server.socket.port'],
  ['net.sock.peer.name'],
  ['net.sock.peer.addr', 'net.sock.peer.port'],
  ['peer.hostname'],
  ['peer.address'],
  ['db.name'],
];
// What is left where no name of a host or a service is given: the far side is then known by what it keeps.
const contentKeys = {
  client: ['db.namespace', 'db.system.name', 'db.system'],
  messaging: ['messaging.destination.name', 'messaging.destination', 'messaging.system'],
} as const;

/**
 * What a client, producer or consumer span talks to: a name, or an address with its port. `undefined` for other spans
 * and where nothing is named.
 */
export function remotePeerOf({ kind, attributes }: Pick<Span, 'kind' | 'attributes'>): RemotePeer | undefined {
  if (kind === 'internal' || kind === 'server') return undefined;
  for (const [key, portKey] of peerKeys) {
    const value = named(attributes[key]);
    if (value !== undefined) return peer(value, portKey === undefined ? undefined : portOf(attributes, portKey));
  }
  for (const key of contentKeys[kind === 'client' ? 'client' : 'messaging']) {
    const value = named(attributes[key]);
    if (value !== undefined) return { name: value };
  }
  return undefined;
}

function peer(value: string, port: number | undefined): RemotePeer {
  const known = port === undefined ? {} : { port };
  const address = value.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 ? { name: value, ...known } : { address, ...known };
}

function portOf(attributes: SpanAttributes, key: string): number | undefined {
  const port = Number(attributes[key]);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}
