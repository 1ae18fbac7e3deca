import { createServer } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultServer, faultServer } from '../testing/fault-server.js';
import { eventually } from '../testing/test-call.js';
import { httpClient, isHttpClient } from './client.js';
import type { HttpClient } from './types.js';

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe('httpClient', () => {
  let server: FaultServer;
  let client: HttpClient;
  beforeEach(async () => {
    server = await faultServer();
    client = httpClient({ maxBytes: 10_000, timeoutMs: 5_000, headers: { 'x-default': 'd', 'x-other': 'o' } });
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  it('sends method, path, query, headers and JSON, and reads JSON', async () => {
    server.handler(() => ({ status: 201, headers: { 'X-Seen': 'yes' }, body: { ok: [1] } }));
    const response = await client.request({
      method: 'POST',
      url: `${server.url}/a%20b?q=1#hash`,
      headers: { 'X-Default': 'mine', 'x-none': undefined },
      json: { hello: 'wörld' },
    });
    expect(response.status).toBe(201);
    expect(response.headers['x-seen']).toBe('yes');
    expect(response.json()).toEqual({ ok: [1] });
    expect(response.text()).toBe('{"ok":[1]}');
    const [request] = server.requests;
    expect(request).toMatchObject({ method: 'POST', url: '/a%20b?q=1' });
    expect(request?.headers).toMatchObject({ 'x-default': 'mine', 'x-other': 'o', 'content-type': 'application/json' });
    expect(request?.headers['content-length']).toBe(String(Buffer.byteLength('{"hello":"wörld"}')));
    expect(request?.text()).toBe('{"hello":"wörld"}');
  });

  it('sends text and bytes as they are, and a path that a URL cannot hold', async () => {
    await client.request({ method: 'PUT', url: server.url, body: 'text', rawPath: '/a/../b' });
    await client.request({ method: 'PUT', url: server.url, body: Buffer.from([1, 2]) });
    expect(server.requests.map(({ url, body }) => [url, body.toString('hex')])).toEqual([
      ['/a/../b', '74657874'],
      ['/', '0102'],
    ]);
  });

  it('takes name and password from the address', async () => {
    await client.request({ url: server.url.replace('//', '//us%40er:pa%3Ass@') });
    expect(server.requests[0]?.headers['authorization']).toBe(`Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`);
  });

  it('takes a bare percent sign in name and password as it stands', async () => {
    await client.request({ url: server.url.replace('//', '//us%er:100%@') });
    const expected = `Basic ${Buffer.from('us%er:100%').toString('base64')}`;
    expect(server.requests[0]?.headers['authorization']).toBe(expected);
  });

  it('refuses what cannot be sent by its field, quoting nothing', async () => {
    const circular: Record<string, unknown> = { swordfish: 'swordfish' };
    circular['swordfish'] = circular;
    const thrower = {
      toJSON: () => {
        throw new Error('swordfish');
      },
    };
    const wrong: [object, string][] = [
      [{ json: circular }, 'json'],
      [{ json: { swordfish: 1n } }, 'json'],
      [{ json: () => 'swordfish' }, 'json'],
      [{ json: thrower }, 'json'],
      [{ body: { swordfish: 1 } }, 'body'],
      [{ body: null }, 'body'],
      [{ body: 42 }, 'body'],
      [{ url: 'swordfish' }, 'url'],
      [{ url: 'http://' }, 'url'],
      [{ url: 'http://[swordfish' }, 'url'],
      [{ url: undefined }, 'url'],
      [{ url: 'ftp://swordfish/' }, 'url'],
    ];
    for (const [input, field] of wrong) {
      for (const stream of [false, true]) {
        const error = await client.request({ url: server.url, ...input, stream } as never).catch((each) => each);
        expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', details: { issues: [{ field }] } });
        expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('swordfish');
        expect(error.cause).toBeUndefined();
      }
    }
    expect(server.requests).toEqual([]);
  });

  it('keeps one connection for requests in turn', async () => {
    const ports = new Set<string>();
    server.handler(() => ({}));
    for (let round = 0; round < 3; round += 1) {
      const { headers } = await client.request({ url: server.url });
      ports.add(headers['connection'] ?? '');
    }
    expect([...ports]).toEqual(['keep-alive']);
  });

  it('does not follow redirects and treats any status as an answer', async () => {
    server.next([{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, { status: 500 }, { status: 204 }]);
    expect((await client.request({ url: server.url })).status).toBe(302);
    expect((await client.request({ url: server.url })).status).toBe(500);
    expect((await client.request({ url: server.url })).bytes).toHaveLength(0);
    expect(server.requests).toHaveLength(3);
  });

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['identity', (bytes: Buffer) => bytes],
    ['gzip, br', (bytes: Buffer) => brotliCompressSync(gzipSync(bytes))],
  ])('decodes %s', async (encoding, compress) => {
    server.next({ headers: { 'content-encoding': encoding }, body: compress(Buffer.from('x'.repeat(5_000))) });
    expect((await client.request({ url: server.url })).text()).toBe('x'.repeat(5_000));
  });

  it('refuses damaged, unknown and stacked encodings', async () => {
    const bodies: [string, Buffer][] = [
      ['gzip', Buffer.from('not gzip')],
      ['deflate', Buffer.from([0x78, 0x9c, 0xff])],
      ['zstd', Buffer.from('x')],
      ['gzip,gzip,gzip,gzip', Buffer.from('x')],
    ];
    for (const [encoding, body] of bodies) {
      server.next({ headers: { 'content-encoding': encoding }, body });
      const answer = client.request({ url: server.url });
      await expect(answer).rejects.toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID' });
    }
  });

  it('bounds the answer by its announced, its real and its inflated size', async () => {
    const tooLarge = { code: 'MNOPS_CORE_TOO_LARGE', details: { maxBytes: 10_000 } };
    server.next({ body: 'x'.repeat(10_001) });
    await expect(client.request({ url: server.url })).rejects.toMatchObject(tooLarge);
    server.next('oversized');
    await expect(client.request({ url: server.url })).rejects.toMatchObject(tooLarge);
    server.next({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(50_000_000)) });
    await expect(client.request({ url: server.url, maxBytes: 60_000 })).rejects.toMatchObject({
      code: 'MNOPS_CORE_TOO_LARGE',
    });
    server.next({ body: 'x'.repeat(10_001) });
    expect((await client.request({ url: server.url, maxBytes: 20_000 })).bytes).toHaveLength(10_001);
  });

  it('reads no body of HEAD, however long it would be', async () => {
    server.next({ headers: { 'content-length': '99999999', 'content-encoding': 'gzip' } });
    const response = await client.request({ method: 'HEAD', url: server.url });
    expect(response.headers['content-length']).toBe('99999999');
    expect(response.bytes).toHaveLength(0);
  });

  it.each([
    ['reset', 'MNOPS_CORE_UNAVAILABLE', true],
    ['truncated', 'MNOPS_CORE_UNAVAILABLE', true],
    ['garbage', 'MNOPS_CORE_RESPONSE_INVALID', false],
    ['wrong-length', 'MNOPS_CORE_RESPONSE_INVALID', false],
  ] as const)('says what a %s exchange was', async (fault, code, retryable) => {
    server.next(fault);
    await expect(client.request({ url: server.url })).rejects.toMatchObject({ code, retryable });
    expect(server.requests).toHaveLength(1);
    expect((await client.request({ url: server.url })).status).toBe(200);
  });

  it('says that nobody listens and that a name is unknown', async () => {
    const closed = await faultServer();
    await closed.close();
    const refused = client.request({ url: `${closed.url}/secret-path?token=s3cret` });
    await expect(refused).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAVAILABLE',
      retryable: true,
      message: `${closed.url} could not be reached (ECONNREFUSED).`,
    });
    const unknown = client.request({ url: 'http://no-such-host.invalid/' });
    await expect(unknown).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
  });

  it('ends an exchange at its deadline, before the answer and within it', async () => {
    server.handler(() => ({ body: 'a longer answer' }));
    server.next(['hang', 'slow']);
    const timeout = { code: 'MNOPS_CORE_TIMEOUT', retryable: true };
    const hanging = client.request({ url: server.url, timeoutMs: 50 });
    await expect(hanging).rejects.toMatchObject({ ...timeout, details: { timeoutMs: 50, phase: 'headers' } });
    const slow = client.request({ url: server.url, timeoutMs: 70 });
    await expect(slow).rejects.toMatchObject({ ...timeout, details: { phase: 'body' } });
  });

  it('bounds connecting apart', async () => {
    // A listener whose backlog is full does not complete handshakes; a TLS server that never answers is simpler.
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    const impatient = httpClient({ connectTimeoutMs: 40 });
    await expect(impatient.request({ url: `https://127.0.0.1:${port}` })).rejects.toMatchObject({
      code: 'MNOPS_CORE_TIMEOUT',
      details: { phase: 'connect', timeoutMs: 40 },
    });
    await impatient.close();
    mute.close();
  });

  it('rejects with the reason of the signal: before, while waiting, while reading', async () => {
    const early = client.request({ url: server.url, signal: AbortSignal.abort('early') });
    await expect(early).rejects.toBe('early');
    expect(server.requests).toHaveLength(0);
    server.handler(() => ({ body: 'a longer answer' }));
    for (const fault of ['hang', 'slow'] as const) {
      const controller = new AbortController();
      server.next(fault);
      const before = server.requests.length;
      const running = client.request({ url: server.url, signal: controller.signal });
      await eventually(() => server.requests.length > before);
      setTimeout(() => controller.abort(fault), 30);
      await expect(running).rejects.toBe(fault);
    }
  });

  it('refuses what HTTP cannot carry, naming no value', async () => {
    const bad = [
      { url: 'not an address' },
      { url: 'ftp://host/' },
      { url: server.url, headers: { authorization: 'Bearer s3cret\r\nx: y' } },
      { url: server.url, headers: { 'bad name': 'x' } },
      { url: server.url, method: 'BAD METHOD' },
      { url: server.url, rawPath: '/with space' },
    ];
    for (const input of bad) {
      const failure = await client.request(input).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
      expect(JSON.stringify(failure)).not.toMatch(/s3cret|not an address/);
    }
    expect(() => httpClient({ timeoutMs: 0 })).toThrow(/timeoutMs must be above 0/);
    expect(() => httpClient({ maxBytes: Number.NaN })).toThrow(/maxBytes/);
  });

  it('holds no credential, path, query or body in any failure', async () => {
    for (const fault of ['reset', 'truncated', 'garbage', 'wrong-length', 'oversized'] as const) {
      server.handler(() => ({ body: 'canary-in-the-answer'.repeat(10) }));
      server.next(fault);
      const url = `${server.url.replace('//', '//u:canary-password@')}/canary-path?canary-query=1`;
      const headers = { authorization: 'canary-header' };
      const failure = await client
        .request({ method: 'POST', url, headers, json: 'canary-body' })
        .catch((error) => error);
      const { inspect } = await import('node:util');
      expect(inspect(failure, { depth: 9 })).not.toMatch(/canary/);
    }
  });

  it('rejects after close, also what runs meanwhile', async () => {
    server.next('hang');
    const running = client.request({ url: server.url });
    await eventually(() => server.requests.length === 1);
    await client.close();
    await client.close();
    await expect(running).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    await expect(client.request({ url: server.url })).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });

  it('uses an agent that it is given, and does not close it', async () => {
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true });
    const own = httpClient({ agent });
    await own.request({ url: server.url });
    await own.close();
    expect(Object.keys(agent.freeSockets)).toHaveLength(1);
    agent.destroy();
  });

  it('knows a client by what it can do', () => {
    expect(isHttpClient(client)).toBe(true);
    expect([undefined, null, 'client', {}].some(isHttpClient)).toBe(false);
  });
});

describe('httpClient, streams', () => {
  let server: FaultServer;
  let client: HttpClient;
  beforeEach(async () => {
    server = await faultServer();
    client = httpClient({ maxBytes: 1_000 });
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  it('hands the body out as it comes, unlimited and undecoded', async () => {
    const packed = gzipSync(Buffer.from('x'.repeat(100)));
    server.next([{ body: 'y'.repeat(5_000) }, { headers: { 'content-encoding': 'gzip' }, body: packed }]);
    const response = await client.request({ url: server.url, stream: true });
    expect(response.status).toBe(200);
    expect(await text(response.body)).toHaveLength(5_000);
    expect(server.requests[0]?.headers['accept-encoding']).toBe('identity');
    const second = await client.request({ url: server.url, stream: true });
    const parts: Uint8Array[] = [];
    for await (const part of second.body) parts.push(part);
    expect(Buffer.concat(parts)).toEqual(packed);
  });

  it('bounds a streamed answer when asked to, and what is buffered of it always', async () => {
    server.next(['oversized', { body: 'small' }, { body: 'z'.repeat(1_001) }]);
    const response = await client.request({ url: server.url, stream: true, maxBytes: 100_000 });
    await expect(text(response.body)).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
    const small = await client.request({ url: server.url, stream: true });
    expect((await small.buffered()).text()).toBe('small');
    const large = await client.request({ url: server.url, stream: true });
    await expect(large.buffered()).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
  });

  it('frees the connection when the reader leaves or discards', async () => {
    server.next(['oversized', 'oversized']);
    const left = await client.request({ url: server.url, stream: true });
    for await (const part of left.body) {
      expect(part.length).toBeGreaterThan(0);
      break;
    }
    const discarded = await client.request({ url: server.url, stream: true });
    discarded.discard();
    expect((await client.request({ url: server.url })).status).toBe(200);
  });

  it('counts only the time without progress', async () => {
    server.handler(() => ({ body: 'slow answer' }));
    server.next('slow');
    const response = await client.request({ url: server.url, stream: true, timeoutMs: 150 });
    let seen = '';
    for await (const part of response.body) {
      seen += Buffer.from(part).toString();
      if (seen.length === 3) await new Promise((resolve) => setTimeout(resolve, 200)); // a busy reader is no stall
    }
    expect(seen).toBe('slow answer');
  });

  it('breaks off a body that is cut or that the caller aborts', async () => {
    server.handler(() => ({ body: 'some longer answer' }));
    server.next(['truncated', 'slow']);
    const cut = await client.request({ url: server.url, stream: true });
    await expect(text(cut.body)).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    const controller = new AbortController();
    const slow = await client.request({ url: server.url, stream: true, signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 30);
    await expect(text(slow.body)).rejects.toBe('enough');
  });

  it('rejects when what is to be buffered broke, was given up or was read before', async () => {
    const controller = new AbortController();
    server.next('truncated');
    server.handler(() => ({ body: 'x'.repeat(900) }));
    const broken = await client.request({ url: server.url, stream: true });
    server.next('slow');
    const aborted = await client.request({ url: server.url, stream: true, signal: controller.signal });
    controller.abort('enough');
    const late = await client.request({ url: server.url, stream: true });
    late.discard();
    const read = await client.request({ url: server.url, stream: true });
    await read.buffered();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(broken.buffered()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    await expect(aborted.buffered()).rejects.toBe('enough');
    await expect(late.buffered()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    await expect(read.buffered()).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
  });

  it('sends a streamed body with its size, or chunked', async () => {
    await client.request({ method: 'PUT', url: server.url, body: chunks('ab', 'cd'), size: 4 });
    await client.request({ method: 'PUT', url: server.url, body: chunks('ef') });
    const [sized, chunked] = server.requests;
    expect(sized?.headers['content-length']).toBe('4');
    expect(sized?.text()).toBe('abcd');
    expect(chunked?.headers['transfer-encoding']).toBe('chunked');
    expect(chunked?.text()).toBe('ef');
  });

  it('sends a large body no faster than it is taken', async () => {
    const block = Buffer.alloc(262_144, 'b');
    const body = chunks(...Array.from({ length: 40 }, () => block));
    await client.request({ method: 'PUT', url: server.url, body, size: 40 * block.length });
    expect(server.requests[0]?.body).toHaveLength(40 * block.length);
  });

  it('refuses a body of another size than announced, and passes the failure of its source on', async () => {
    for (const size of [3, 5]) {
      const put = client.request({ method: 'PUT', url: server.url, body: chunks('ab', 'cd'), size });
      await expect(put).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    }
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      throw new Error('source broke');
    }
    await expect(client.request({ method: 'PUT', url: server.url, body: broken() })).rejects.toThrow('source broke');
  });

  it('stops sending when the connection is gone', async () => {
    const rude = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const { port } = rude.address() as { port: number };
    let pulled = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pulled += 1;
        yield Buffer.alloc(65_536);
      }
    }
    const put = client.request({ method: 'PUT', url: `http://127.0.0.1:${port}/`, body: endless() });
    await expect(put).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    expect(pulled).toBeLessThan(1_000);
    rude.close();
  });
});
