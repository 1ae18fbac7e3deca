import type { IncomingMessage } from 'node:http';
import { eventually } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { InvalidRequest, requestFraming } from './request-head.js';
import { Wire } from './wire.fake.js';

const wire = new Wire();
afterEach(() => wire.close());

const start = 'POST / HTTP/1.1\r\nHost: a\r\n';
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const chunks = `0\r\n\r\n${smuggled}`;

/** What two readers could understand differently, as it comes over the wire. */
const ambiguous: Readonly<Record<string, string>> = {
  'length and encoding': `${start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'encoding and length': `${start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunks}`,
  'two lengths': `${start}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'two equal lengths': `${start}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  'lengths in one field': `${start}Content-Length: 5, 5\r\n\r\nhello`,
  'a signed length': `${start}Content-Length: +5\r\n\r\nhello`,
  'a negative length': `${start}Content-Length: -5\r\n\r\nhello`,
  'a hexadecimal length': `${start}Content-Length: 0x5\r\n\r\nhello`,
  'an empty length': `${start}Content-Length:\r\n\r\n${smuggled}`,
  'a length beyond exact numbers': `${start}Content-Length: 99999999999999999999\r\n\r\nhello`,
  'an encoding before chunked': `${start}Transfer-Encoding: gzip, chunked\r\n\r\n${chunks}`,
  'chunked not last': `${start}Transfer-Encoding: chunked, gzip\r\n\r\n${chunks}`,
  'chunked twice': `${start}Transfer-Encoding: chunked, chunked\r\n\r\n${chunks}`,
  'two encodings': `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunks}`,
  'two equal encodings': `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'an unknown encoding': `${start}Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
  'a quoted encoding': `${start}Transfer-Encoding: "chunked"\r\n\r\n${chunks}`,
  'an empty encoding': `${start}Transfer-Encoding:\r\n\r\n${chunks}`,
  'an empty encoding and a length': `${start}Transfer-Encoding:\r\nContent-Length: 4\r\n\r\n${chunks}`,
  'a vertical tab in the encoding': `${start}Transfer-Encoding: \x0bchunked\r\n\r\n${chunks}`,
  'an encoding in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'a space before the colon': `${start}Transfer-Encoding : chunked\r\n\r\n${chunks}`,
  'a tab before the colon': `${start}Content-Length\t: 5\r\n\r\nhello`,
  'a space before the colon of any field': `${start}X-A : b\r\nContent-Length: 0\r\n\r\n`,
  'a space before the first field': 'POST / HTTP/1.1\r\n Host: a\r\nContent-Length: 0\r\n\r\n',
  'a folded field': `${start}X-A: b\r\n Content-Length: 5\r\n\r\nhello`,
  'a folded encoding': `${start}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}`,
  'a bare line feed in a value': `${start}X-A: b\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'a bare carriage return in a value': `${start}X-A: b\rTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'a null in a value': `${start}X-A: b\0c\r\nContent-Length: 0\r\n\r\n`,
  'no name': `${start}: b\r\nContent-Length: 0\r\n\r\n`,
  'two hosts': `${start}Host: b\r\nContent-Length: 0\r\n\r\n`,
  'two hosts in one field': 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n',
  'a host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'a host with credentials': 'GET / HTTP/1.1\r\nHost: b@a\r\n\r\n',
  'no host': 'GET / HTTP/1.1\r\n\r\n',
  'a length under another name': `${start}Content_Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'an encoding under another name': `${start}Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n`,
  'an unknown version': 'GET / HTTP/1.9\r\nHost: a\r\n\r\n',
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

/** What is told only after the request has gone on: its body. */
const badBodies: Readonly<Record<string, string>> = {
  'a chunk size that is no number': '5x\r\nhello\r\n0\r\n\r\n',
  'a signed chunk size': '-5\r\nhello\r\n0\r\n\r\n',
  'a chunk size with a prefix': '0x5\r\nhello\r\n0\r\n\r\n',
  'a chunk size that overflows': 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  'a chunk longer than its size': '3\r\nhello\r\n0\r\n\r\n',
  'a chunk line that ends in a bare line feed': '5\nhello\r\n0\r\n\r\n',
};

describe('a request that two readers could understand differently', () => {
  for (const [name, text] of Object.entries(ambiguous)) {
    it(`is refused before anything of it goes on: ${name}`, async () => {
      let got = '';
      const target = await wire.server((socket) => {
        socket.on('data', (chunk) => {
          got += chunk.toString('latin1');
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        });
      });
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, text);
      await eventually(() => client.ended || client.closed);
      expect(client.received).toMatch(/^HTTP\/1\.1 400 /);
      // One answer: nothing of it was taken for another request.
      expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(got).toBe('');
      expect(proxy.stats('web')).toMatchObject({ answered: 0, inFlight: 0 });
      expect(proxy.stats('web').failed).toBeGreaterThan(0);
    });
  }

  for (const [name, body] of Object.entries(badBodies)) {
    it(`is never ended towards the instance: ${name}`, async () => {
      let got = '';
      let gone = false;
      const target = await wire.server((socket) => {
        socket.on('data', (chunk) => {
          got += chunk.toString('latin1');
        });
        socket.on('close', () => {
          gone = true;
        });
        socket.on('end', () => socket.end());
      });
      const { proxy, port } = await wire.proxy([target]);
      const client = wire.client(port, `${start}Transfer-Encoding: chunked\r\n\r\n${body}${smuggled}`);
      await eventually(() => client.ended || client.closed);
      expect(client.received.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
      expect(client.received).not.toMatch(/^HTTP\/1\.1 200/);
      await eventually(() => proxy.stats('web').inFlight === 0 && (got === '' || gone));
      expect(got).not.toMatch(/\r\n0\r\n\r\n/);
      expect(got).not.toContain('smuggled');
    });
  }

  it('is judged by its raw fields, whatever a parser made of them', () => {
    const request = (rawHeaders: string[], headers: Record<string, string>, httpVersionMinor = 1) =>
      ({ rawHeaders, headers, httpVersionMinor }) as unknown as IncomingMessage;
    const refused = [
      request(['Host', 'a', 'Content-Length', '5', 'content-length', '6'], { 'content-length': '5' }),
      request(['Host', 'a', 'Transfer-Encoding', 'chunked', 'Content-Length', '6'], { 'content-length': '6' }),
      request(['Host', 'a', 'TRANSFER-ENCODING', 'identity'], {}),
      request(['Host', 'a', 'Transfer-Encoding', 'chunked'], {}, 0),
      request(['Host', 'a', 'Transfer-Encoding ', 'chunked'], {}),
      request(['Host', 'a', 'Content-Length\t', '5'], {}),
      request(['Host', 'a', 'X-A', 'b\r\n c'], {}),
    ];
    for (const each of refused) expect(() => requestFraming(each), each.rawHeaders.join()).toThrow(InvalidRequest);
    expect(requestFraming(request(['Host', 'a', 'Content-Length', '5'], {}))).toBe('length');
    expect(requestFraming(request(['Host', 'a', 'transfer-encoding', 'Chunked'], {}))).toBe('chunked');
    expect(requestFraming(request(['Host', 'a'], { 'content-length': '5' }))).toBe('none');
  });
});

describe('what a client says of where it comes from', () => {
  const claims = {
    'X-Forwarded-For': '10.0.0.1',
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Port': '443',
    'X-Forwarded-Prefix': '/admin',
    'x-forwarded-server': 'evil',
    X_Forwarded_For: '10.0.0.2',
    'X-Forwarded_Host': 'evil.example',
    Forwarded: 'for=10.0.0.3;host=evil.example',
  };

  it('does not reach the instance: the proxy says it', async () => {
    let got = '';
    const target = await wire.server((socket) => {
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1');
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    });
    const { port } = await wire.proxy([target]);
    const fields = Object.entries(claims).map(([name, value]) => `${name}: ${value}\r\n`);
    wire.client(port, `GET / HTTP/1.1\r\nHost: shop.example\r\nX-Form: kept\r\n${fields.join('')}\r\n`);
    await eventually(() => got.includes('\r\n\r\n'));
    const lines = got.trimEnd().split('\r\n').slice(1).sort();
    expect(lines).toEqual([
      'Host: shop.example',
      'X-Form: kept',
      'connection: keep-alive',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-host: shop.example',
      'x-forwarded-proto: http',
    ]);
  });
});
