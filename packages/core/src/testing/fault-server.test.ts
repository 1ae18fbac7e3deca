import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultServer, faultServer } from './fault-server.js';

interface Seen {
  status?: number | undefined;
  headers?: Record<string, unknown>;
  body: string;
  error?: string | undefined;
}

/** One exchange with nothing but Node, so that the server is not judged by our own client. */
function exchange(url: string, options: { method?: string; body?: string; waitMs?: number; limit?: number } = {}) {
  return new Promise<Seen>((resolve) => {
    const seen: Seen = { body: '' };
    const outgoing = request(url, { method: options.method ?? 'GET', agent: false });
    const timer = setTimeout(() => outgoing.destroy(new Error('waited long enough')), options.waitMs ?? 2_000);
    const finish = (error?: Error & { code?: string }): void => {
      clearTimeout(timer);
      seen.error ??= error && (error.code ?? error.message);
      resolve(seen);
    };
    outgoing.on('error', finish);
    outgoing.on('response', (incoming) => {
      seen.status = incoming.statusCode;
      seen.headers = incoming.headers;
      incoming.setEncoding('utf8');
      incoming.on('data', (text: string) => {
        seen.body += text;
        if (seen.body.length > (options.limit ?? Number.POSITIVE_INFINITY)) outgoing.destroy();
      });
      incoming.on('error', finish);
      incoming.on('close', () => finish());
    });
    outgoing.end(options.body);
  });
}

describe('faultServer', () => {
  let server: FaultServer;
  beforeEach(async () => {
    server = await faultServer();
  });
  afterEach(() => server.close());

  it('answers 200 with an empty object until told otherwise, and records what it got', async () => {
    const seen = await exchange(`${server.url}/a?b=c`, { method: 'POST', body: 'hello' });
    expect(seen).toMatchObject({ status: 200, body: '{}' });
    const [recorded] = server.requests;
    expect(recorded).toMatchObject({ method: 'POST', url: '/a?b=c' });
    expect(recorded?.text()).toBe('hello');
  });

  it('answers with what the handler says, and 500 when it throws', async () => {
    server.handler(({ url }) => ({ status: 201, headers: { 'x-path': url }, body: 'text' }));
    expect(await exchange(`${server.url}/p`)).toMatchObject({ status: 201, headers: { 'x-path': '/p' }, body: 'text' });
    server.handler(() => ({ body: Buffer.from([65, 66]) }));
    expect((await exchange(server.url)).body).toBe('AB');
    server.handler(() => ({ status: 204 }));
    expect(await exchange(server.url)).toMatchObject({ status: 204, body: '' });
    server.handler(() => {
      throw new Error('broken');
    });
    expect((await exchange(server.url)).status).toBe(500);
  });

  it('plays scripted replies in order and then behaves again', async () => {
    server.next([{ status: 429, headers: { 'retry-after': '2' } }, { status: 503 }]);
    server.next({ body: ['list'] });
    expect(await exchange(server.url)).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
    expect((await exchange(server.url)).status).toBe(503);
    expect((await exchange(server.url)).body).toBe('["list"]');
    expect((await exchange(server.url)).body).toBe('{}');
    server.next('reset');
    server.reset();
    expect(server.requests).toHaveLength(0);
    expect((await exchange(server.url)).status).toBe(200);
  });

  it.each([
    ['reset', { error: 'ECONNRESET' }],
    ['truncated', { error: 'ECONNRESET', status: 200 }],
    ['hang', { error: 'waited long enough', body: '' }],
    ['garbage', { error: 'HPE_INVALID_CONSTANT' }],
  ] as const)('fails by %s', async (kind, expected) => {
    server.next(kind);
    expect(await exchange(server.url, { waitMs: kind === 'hang' ? 50 : 2_000 })).toMatchObject(expected);
  });

  it('sends fewer bytes than it has when the length is wrong', async () => {
    server.handler(() => ({ body: 'abcdefgh' }));
    server.next('wrong-length');
    const seen = await exchange(server.url, { waitMs: 300 });
    expect(seen.body).not.toBe('abcdefgh');
  });

  it('dribbles a slow body, and stops when the client leaves', async () => {
    server.handler(() => ({ body: 'abc' }));
    server.next('slow');
    expect(await exchange(server.url)).toMatchObject({ status: 200, body: 'abc' });
    server.next('slow');
    const seen = await exchange(server.url, { waitMs: 30 });
    expect(seen.body.length).toBeLessThan(3);
  });

  it('pours an oversized body for as long as the client reads', async () => {
    server.next('oversized');
    const seen = await exchange(server.url, { limit: 5_000_000 });
    expect(seen.body.length).toBeGreaterThan(5_000_000);
  });

  it('lets the handler work before the fault when asked to', async () => {
    let handled = 0;
    server.handler(() => {
      handled += 1;
      return {};
    });
    server.next([{ kind: 'reset', afterHandling: true }, { kind: 'reset' }]);
    await exchange(server.url);
    expect(handled).toBe(1);
    await exchange(server.url);
    expect(handled).toBe(1);
  });

  it('forgets a request whose client left in the middle', async () => {
    await new Promise<void>((resolve) => {
      const outgoing = request(server.url, { method: 'POST', headers: { 'content-length': '100' }, agent: false });
      outgoing.on('error', () => resolve());
      outgoing.write('half', () => setTimeout(() => outgoing.destroy(new Error('gone')), 20));
    });
    expect((await exchange(server.url)).status).toBe(200);
    expect(server.requests).toHaveLength(1);
  });

  it('closes twice without complaint', async () => {
    await server.close();
    await server.close();
  });
});
