import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ResponseHead, ResponseParser } from './response-parser.js';

interface Seen {
  readonly heads: ResponseHead[];
  readonly interim: number[];
  body: string;
  trailers: readonly string[] | undefined;
}

function parse(pieces: readonly string[], options: { readonly method?: string; readonly end?: boolean } = {}) {
  const seen: Seen = { heads: [], interim: [], body: '', trailers: undefined };
  const parser = new ResponseParser(
    {
      onInterim: ({ status }) => void seen.interim.push(status),
      onHead: (head) => void seen.heads.push(head),
      onBody: (chunk) => {
        seen.body += chunk.toString('latin1');
      },
      onEnd: (trailers) => {
        seen.trailers = trailers;
      },
    },
    1_024,
  );
  parser.expect(options.method ?? 'GET');
  let rest = '';
  for (const piece of pieces) rest += parser.execute(Buffer.from(piece, 'latin1')).toString('latin1');
  if (options.end === true) parser.finish();
  return { seen, parser, rest };
}

const head = 'HTTP/1.1 200 OK\r\n';

describe('ResponseParser', () => {
  it('reads a body by its length and gives back what follows', () => {
    const { seen, parser, rest } = parse([`${head}Content-Length: 5\r\nX-A:  b \r\n\r\nhelloHTTP/1.1`]);
    expect(seen.heads[0]).toMatchObject({ status: 200, statusText: 'OK', contentLength: 5 });
    expect(seen.heads[0]?.fields).toEqual(['Content-Length', '5', 'X-A', 'b']);
    expect([seen.body, seen.trailers, rest, parser.reusable]).toEqual(['hello', [], 'HTTP/1.1', true]);
  });

  it('takes out what belongs to the connection, and what Connection lists', () => {
    const { seen, parser } = parse([
      `${head}Connection: close, X-Hop\r\nKeep-Alive: timeout=7\r\nX-Hop: 1\r\nUpgrade: h2c\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n`,
    ]);
    expect(seen.heads[0]?.fields).toEqual(['X-End', '2', 'Content-Length', '0']);
    expect([parser.reusable, parser.idleTimeoutMs]).toEqual([false, 7_000]);
  });

  it('knows answers without a body', () => {
    for (const [status, method] of [
      ['204 No Content', 'GET'],
      ['304 Not Modified', 'GET'],
      ['200 OK', 'HEAD'],
    ] as const) {
      const { seen } = parse([`HTTP/1.1 ${status}\r\nContent-Length: 10\r\n\r\n`], { method });
      expect(seen.trailers).toEqual([]);
    }
    expect(
      parse(['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', `${head}Content-Length: 0\r\n\r\n`]).seen,
    ).toMatchObject({
      interim: [103],
      trailers: [],
    });
  });

  it('reads until the end where there is no length', () => {
    const { seen, parser } = parse([`${head}\r\n`, 'one', 'two'], { end: true });
    expect([seen.body, seen.trailers, parser.reusable]).toEqual(['onetwo', [], false]);
  });

  it('reads chunks with extensions and trailers', () => {
    const { seen } = parse([
      `${head}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n`,
    ]);
    expect([seen.body, seen.trailers]).toEqual(['hello!', ['X-Sum', '1']]);
  });

  it('finds the same in any pieces', () => {
    const chunked = `${head}Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\nT: 1\r\n\r\n`;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sizes) => {
        const pieces: string[] = [];
        for (let at = 0, index = 0; at < chunked.length; index += 1) {
          const size = sizes[index % sizes.length]!;
          pieces.push(chunked.slice(at, at + size));
          at += size;
        }
        const { seen } = parse(pieces);
        expect([seen.body, seen.trailers]).toEqual(['hello0123456789', ['T', '1']]);
      }),
    );
  });

  it('refuses what two readers could understand differently', () => {
    const bad = [
      `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      `${head}Content-Length: +5\r\n\r\n`,
      `${head}Content-Length: 5 5\r\n\r\n`,
      `${head}X-A: 1\r\n folded\r\n\r\n`,
      `${head}X-A : 1\r\n\r\n`,
      `${head}X-A: 1\nX-B: 2\r\n\r\n`,
      `${head}X-A: a\0b\r\n\r\n`,
      `${head}no colon\r\n\r\n`,
      'HTTP/2 200 OK\r\n\r\n',
      'HTTP/1.1 99 No\r\n\r\n',
      'ICY 200 OK\r\n\r\n',
      `${head}X: ${'a'.repeat(2_000)}`,
      `${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n${' '.repeat(3_000)}`,
    ];
    for (const text of bad) expect(() => parse([text]), JSON.stringify(text)).toThrow();
  });

  it('never does anything but refuse, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 60 })), (noise) => {
        try {
          parse([head, ...noise], { end: true });
        } catch (error) {
          expect((error as Error).name).toBe('InvalidResponse');
        }
      }),
    );
  });
});
