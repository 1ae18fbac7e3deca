import { gunzipSync } from 'node:zlib';
import type { Span } from '@mnops/core/spi';
import { faultServer, testCall, traceExporterContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { encodeZipkin, type ZipkinSpan } from './encode.js';
import { zipkin } from './index.js';

traceExporterContract({ describe, it }, 'zipkin', async () => {
  const server = await faultServer();
  const received: string[] = [];
  server.handler((request) => {
    received.push(...(JSON.parse(request.text()) as { id: string }[]).map(({ id }) => id));
    return { status: 202 };
  });
  return {
    provider: zipkin({ url: server.url, headers: { authorization: () => 'canary-key-8' } }),
    faults: server,
    secrets: ['canary-key-8'],
    received: () => received,
    close: () => server.close(),
  };
});

/** One span as Zipkin gets it. */
function written(span: Span): ZipkinSpan {
  const [first] = JSON.parse(encodeZipkin(batchOf([span]))) as ZipkinSpan[];
  if (first === undefined) throw new Error('no span');
  return first;
}

describe('Zipkin v2 JSON', () => {
  it('writes ids, times, names and sides', () => {
    const span = {
      ...spanOf({ service: 'web', id: 'b', parent: 'a', name: 'GET', kind: 'client' }),
      startTimeUnixNano: 1_700_000_000_944_999_937n,
      durationNano: 1_234_567n,
      attributes: { 'server.address': 'api.example', 'server.port': 8080 },
      resource: { 'service.name': 'web', 'service.namespace': 'shop' },
    };
    expect(written(span)).toEqual({
      traceId: '00000000000000000000000000000001',
      id: '000000000000000b',
      parentId: '000000000000000a',
      name: 'GET',
      kind: 'CLIENT',
      timestamp: 1_700_000_000_944_999,
      duration: 1_234,
      localEndpoint: { serviceName: 'web' },
      remoteEndpoint: { serviceName: 'api.example', port: 8080 },
      tags: {
        'server.address': 'api.example',
        'server.port': '8080',
        'service.namespace': 'shop',
        'otel.scope.name': 'test',
        'otel.library.name': 'test',
      },
    });
  });

  it('leaves out what is empty: parent of a root, kind of an inner span, name, tags, annotations', () => {
    const span = { ...spanOf({ id: 'a' }), name: '', durationNano: 0n, scope: { name: '' } };
    expect(written(span)).toEqual({
      traceId: '00000000000000000000000000000001',
      id: '000000000000000a',
      timestamp: 1_700_000_000_000_000,
      duration: 1,
      localEndpoint: { serviceName: 'shop' },
    });
  });

  it.each([
    [{ 'service.peer.name': 'a', 'peer.service': 'b', 'server.address': 'c' }, { serviceName: 'a' }],
    [{ 'peer.service': 'b', 'server.address': 'c', 'server.port': 1 }, { serviceName: 'b' }],
    [
      { 'server.address': '10.0.0.5', 'server.port': 5432 },
      { ipv4: '10.0.0.5', port: 5432 },
    ],
    [{ 'server.address': '[2001:db8::1]', 'server.port': '99999' }, { ipv6: '2001:db8::1' }],
    [{ 'net.peer.name': 'd', 'network.peer.address': '10.0.0.5' }, { serviceName: 'd' }],
    [
      { 'network.peer.address': '10.0.0.5', 'network.peer.port': 80 },
      { ipv4: '10.0.0.5', port: 80 },
    ],
    [{ 'server.socket.domain': 'e', 'server.socket.address': '10.0.0.6' }, { serviceName: 'e' }],
    [
      { 'server.socket.address': '::1', 'server.socket.port': 81 },
      { ipv6: '::1', port: 81 },
    ],
    [{ 'net.sock.peer.name': 'f', 'net.sock.peer.addr': '10.0.0.7' }, { serviceName: 'f' }],
    [
      { 'net.sock.peer.addr': '10.0.0.7', 'net.sock.peer.port': 82 },
      { ipv4: '10.0.0.7', port: 82 },
    ],
    [{ 'peer.hostname': 'g', 'peer.address': 'h' }, { serviceName: 'g' }],
    [{ 'peer.address': 'h', 'db.name': 'i' }, { serviceName: 'h' }],
    [{ 'db.name': 'i', 'db.system': 'postgresql' }, { serviceName: 'i' }],
    [{ 'db.namespace': 'j', 'db.system.name': 'mysql' }, { serviceName: 'j' }],
    [{ 'db.system.name': 'redis' }, { serviceName: 'redis' }],
    [{ 'http.request.method': 'GET' }, undefined],
  ])('names the far side by OpenTelemetry’s order: %j', (attributes, remoteEndpoint) => {
    const given = attributes as Span['attributes'];
    expect(written(spanOf({ id: 'a', kind: 'client', attributes: given })).remoteEndpoint).toEqual(remoteEndpoint);
    // The far side of a server is its caller, which these attributes do not name.
    expect(written(spanOf({ id: 'a', kind: 'server', attributes: given })).remoteEndpoint).toBeUndefined();
    expect(written(spanOf({ id: 'a', kind: 'internal', attributes: given })).remoteEndpoint).toBeUndefined();
  });

  it('names the broker of messages', () => {
    const attributes = { 'messaging.system': 'kafka', 'messaging.destination.name': 'orders' };
    for (const kind of ['producer', 'consumer'] as const) {
      expect(written(spanOf({ id: 'a', kind, attributes }))).toMatchObject({
        kind: kind.toUpperCase(),
        remoteEndpoint: { serviceName: 'orders' },
      });
    }
  });

  it('says what failed, and takes no user’s word that nothing did', () => {
    const base = spanOf({ id: 'a', attributes: { error: false } });
    const tags = (code: 'unset' | 'ok' | 'error', message?: string) =>
      written({ ...base, status: message === undefined ? { code } : { code, message } }).tags;
    expect(tags('unset')).not.toHaveProperty('error');
    expect(tags('unset')).not.toHaveProperty('otel.status_code');
    expect(tags('ok')).toMatchObject({ 'otel.status_code': 'OK' });
    expect(tags('ok')).not.toHaveProperty('error');
    expect(tags('error')).toMatchObject({ 'otel.status_code': 'ERROR', error: '' });
    expect(tags('error', 'broken')).toMatchObject({ 'otel.status_code': 'ERROR', error: 'broken' });
    expect(written({ ...base, attributes: { error: 'mine' } }).tags).toMatchObject({ error: 'mine' });
  });

  it('writes attributes as text, and never lets the resource or the scope replace one', () => {
    const span = {
      ...spanOf({
        id: 'a',
        attributes: { host: 'span', yes: true, list: ['a', null], n: 1.5, 'otel.scope.name': 'own' },
      }),
      resource: { 'service.name': 'shop', host: 'resource', error: 'x', zone: 'b' },
      scope: { name: 'lib', version: '2' },
      dropped: { attributes: 1, events: 2, links: 3 },
    };
    expect(written(span).tags).toEqual({
      host: 'span',
      yes: 'true',
      list: '["a",null]',
      n: '1.5',
      zone: 'b',
      'otel.scope.name': 'own',
      'otel.library.name': 'lib',
      'otel.scope.version': '2',
      'otel.library.version': '2',
      'otel.dropped_attributes_count': '1',
      'otel.dropped_events_count': '2',
      'otel.dropped_links_count': '3',
    });
  });

  it('writes events with their attributes', () => {
    const timeUnixNano = 1_700_000_000_000_002_999n;
    const events = [
      { name: 'retry', timeUnixNano, attributes: { attempt: 2, why: 'again' } },
      { name: 'plain', timeUnixNano, attributes: {} },
    ];
    expect(written({ ...spanOf({ id: 'a' }), events }).annotations).toEqual([
      { timestamp: 1_700_000_000_000_002, value: '"retry": {"attempt":2,"why":"again"}' },
      { timestamp: 1_700_000_000_000_002, value: 'plain' },
    ]);
  });
});

describe('zipkin', () => {
  it('sends to /api/v2/spans below the base address, compressed if asked', async () => {
    const server = await faultServer();
    for (const url of [server.url, `${server.url}/api/v2/spans`, `${server.url}/base/`]) {
      const exporter = zipkin({ url, compression: 'gzip' });
      await exporter.export(batchOf([spanOf({ id: 'a' })]), testCall());
      await exporter.close?.(testCall());
    }
    expect(server.requests.map(({ url }) => url)).toEqual(['/api/v2/spans', '/api/v2/spans', '/base/api/v2/spans']);
    expect(JSON.parse(gunzipSync(server.requests[0]?.body ?? Buffer.alloc(0)).toString())).toHaveLength(1);
    await server.close();
  });

  it('refuses a batch over its limit before it is sent, and wrong options by name', async () => {
    const exporter = zipkin({ url: 'http://127.0.0.1:9', maxRequestBytes: 1_000 });
    const attributes = { text: 'x'.repeat(2_000) };
    await expect(exporter.export(batchOf([spanOf({ id: 'a', attributes })]), testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_TOO_LARGE',
    });
    expect(() => zipkin({ url: 'no address' })).toThrow('url');
    expect(() => zipkin({ adress: 'x' } as never)).toThrow('adress');
    expect(() => zipkin({ id: 'Not An Id' })).toThrow('id');
  });
});
