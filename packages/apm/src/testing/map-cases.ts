import type { Span } from '@mnops/core/spi';
import { spanOf } from './spans.js';

/** Traces whose service map is known by others, too. */
export interface MapCase {
  readonly title: string;
  readonly spans: readonly Span[];
  /** Calls and failed calls by `client>server`. */
  readonly links: Readonly<Record<string, readonly [calls: number, errors: number]>>;
}

const client = (service: string, id: string, parent?: string, more: Partial<Parameters<typeof spanOf>[0]> = {}): Span =>
  spanOf({ service, id, parent, kind: 'client', ...more });
const server = (service: string, id: string, parent?: string, more: Partial<Parameters<typeof spanOf>[0]> = {}): Span =>
  spanOf({ service, id, parent, kind: 'server', ...more });
const inner = (service: string, id: string, parent?: string): Span => spanOf({ service, id, parent });
const failed = { error: true };
const peer = (name: string): { attributes: Span['attributes'] } => ({ attributes: { 'peer.service': name } });

/** Cases in which a map goes wrong easily: sides that fail or are missing, inner spans between, fans, rings, brokers. */
export const mapCases: readonly MapCase[] = [
  { title: 'a call', links: { 'web>api': [1, 0] }, spans: [client('web', '1'), server('api', '2', '1')] },
  {
    title: 'a call whose server failed',
    links: { 'web>api': [1, 1] },
    spans: [client('web', '1'), server('api', '2', '1', failed)],
  },
  {
    title: 'a call whose client failed',
    links: { 'web>api': [1, 1] },
    spans: [client('web', '1', undefined, failed), server('api', '2', '1')],
  },
  {
    title: 'a call that failed on both sides',
    links: { 'web>api': [1, 1] },
    spans: [client('web', '1', undefined, failed), server('api', '2', '1', failed)],
  },
  {
    title: 'a chain of three services',
    links: { 'web>api': [1, 0], 'api>db': [1, 0] },
    spans: [
      server('web', '1'),
      client('web', '2', '1'),
      server('api', '3', '2'),
      client('api', '4', '3'),
      server('db', '5', '4'),
    ],
  },
  {
    title: 'two calls of which one failed',
    links: { 'web>api': [2, 1] },
    spans: [
      server('web', '1'),
      client('web', '2', '1'),
      server('api', '3', '2'),
      client('web', '4', '1', failed),
      server('api', '5', '4', failed),
    ],
  },
  {
    title: 'a client whose peer sends no spans',
    links: { 'web>pay': [1, 0] },
    spans: [server('web', '1'), client('web', '2', '1', peer('pay'))],
  },
  {
    title: 'a failed client whose peer sends no spans',
    links: { 'web>pay': [1, 1] },
    spans: [client('web', '1', undefined, { ...failed, ...peer('pay') })],
  },
  {
    title: 'a client that names its peer otherwise than the peer itself',
    links: { 'web>api': [1, 0] },
    spans: [client('web', '1', undefined, peer('api.internal')), server('api', '2', '1')],
  },
  {
    title: 'a database by its name',
    links: { 'web>orders': [1, 0] },
    spans: [client('web', '1', undefined, { attributes: { 'db.system': 'postgresql', 'db.name': 'orders' } })],
  },
  { title: 'a client that names nobody', links: {}, spans: [server('web', '1'), client('web', '2', '1')] },
  {
    title: 'a call of a service to itself',
    links: { 'web>web': [1, 0] },
    spans: [client('web', '1'), server('web', '2', '1')],
  },
  {
    title: 'a ring of two services',
    links: { 'web>api': [1, 0], 'api>web': [1, 1] },
    spans: [client('web', '1'), server('api', '2', '1'), client('api', '3', '2'), server('web', '4', '3', failed)],
  },
  {
    title: 'inner spans before a client and after a server',
    links: { 'web>api': [1, 0] },
    spans: [
      server('web', '1'),
      inner('web', '2', '1'),
      client('web', '3', '2'),
      server('api', '4', '3'),
      inner('api', '5', '4'),
    ],
  },
  {
    title: 'an inner span as the caller',
    links: { 'web>api': [1, 0] },
    spans: [server('web', '1'), inner('web', '2', '1'), server('api', '3', '2')],
  },
  {
    title: 'a server as the caller',
    links: { 'web>api': [1, 1] },
    spans: [server('web', '1'), server('api', '2', '1', failed)],
  },
  {
    title: 'inner spans between a client and a server',
    links: { 'web>api': [1, 0] },
    spans: [client('web', '1'), inner('web', '2', '1'), inner('api', '3', '2'), server('api', '4', '3')],
  },
  {
    title: 'two servers that answer one client',
    links: { 'web>api': [2, 1] },
    spans: [client('web', '1'), server('api', '2', '1'), server('api', '3', '1', failed)],
  },
  { title: 'a server whose caller is not known', links: {}, spans: [server('web', '1', 'f')] },
  {
    title: 'a message through a broker',
    links: { 'shop>kafka': [1, 0], 'kafka>mail': [1, 0], 'kafka>bill': [1, 1] },
    spans: [
      spanOf({ service: 'shop', id: '1', kind: 'producer', ...peer('kafka') }),
      spanOf({ service: 'mail', id: '2', parent: '1', kind: 'consumer', ...peer('kafka') }),
      spanOf({ service: 'bill', id: '3', parent: '1', kind: 'consumer', ...failed, ...peer('kafka') }),
    ],
  },
];
