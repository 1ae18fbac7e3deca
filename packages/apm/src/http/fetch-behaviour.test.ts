import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { instrumentHttp } from './index.js';

const listener: RequestListener = (request, response) => {
  const { url = '' } = request;
  if (url === '/redirect') response.writeHead(302, { location: '/ok' }).end();
  else if (url === '/loop') response.writeHead(302, { location: '/loop' }).end();
  else if (url === '/cut') {
    response.writeHead(200, { 'content-length': 1_000 });
    response.write('x', () => setImmediate(() => request.socket.destroy()));
  } else if (url === '/hang') response.write('x');
  else if (url === '/reset') request.socket.destroy();
  else if (url === '/204') response.writeHead(204).end();
  else request.on('data', () => undefined).on('end', () => response.end(`${request.method} ok`));
};

/** What a call of `fetch` came to. */
async function outcome(run: () => Promise<unknown>): Promise<string> {
  try {
    return String(await run());
  } catch (error) {
    const { name, message, cause } = error as Error;
    return `${name} ${message} ${(cause as { code?: string } | undefined)?.code ?? ''}`;
  }
}

function streamed(parts: readonly string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(encoder.encode(part));
      controller.close();
    },
  });
}

/** Each call with the spans that it makes. */
const calls: readonly (readonly [string, (url: string) => Promise<unknown>, readonly string[]])[] = [
  ['a text', async (url) => (await fetch(`${url}/ok`)).text(), ['GET 200 ']],
  ['a URL', async (url) => (await fetch(new URL('/ok', url))).text(), ['GET 200 ']],
  [
    'a Request',
    async (url) => (await fetch(new Request(`${url}/ok`, { method: 'POST', body: 'x' }))).text(),
    ['POST 200 '],
  ],
  [
    'a Request with headers that cannot be changed',
    async (url) => {
      const request = new Request(`${url}/ok`, { headers: { 'x-own': '1' } });
      const answered = await (await fetch(request)).text();
      return `${answered} ${[...request.headers.keys()]}`;
    },
    ['GET 200 '],
  ],
  [
    'a stream as the body',
    async (url) =>
      (await fetch(`${url}/ok`, { method: 'PUT', body: streamed(['a', 'b']), duplex: 'half' } as RequestInit)).text(),
    ['PUT 200 '],
  ],
  [
    'a body that fails',
    async (url) => {
      const body = new ReadableStream({ pull: () => Promise.reject(new Error('mine')) });
      return (await fetch(`${url}/ok`, { method: 'PUT', body, duplex: 'half' } as RequestInit)).text();
    },
    ['*'],
  ],
  [
    'a redirect',
    async (url) => {
      const { redirected, status } = await fetch(`${url}/redirect`);
      return `${redirected} ${status}`;
    },
    ['GET 200 ', 'GET 302 '],
  ],
  [
    'a redirect that is not followed',
    async (url) => (await fetch(`${url}/redirect`, { redirect: 'manual' })).status,
    ['GET 302 '],
  ],
  ['a redirect without end', async (url) => (await fetch(`${url}/loop`)).status, Array<string>(21).fill('GET 302 ')],
  ['204', async (url) => (await fetch(`${url}/204`)).text(), ['GET 204 ']],
  ['HEAD', async (url) => (await fetch(`${url}/ok`, { method: 'HEAD' })).text(), ['HEAD 200 ']],
  ['an answer that is cut', async (url) => (await fetch(`${url}/cut`)).text(), ['GET 200 UND_ERR_SOCKET']],
  ['a socket that hangs up', async (url) => (await fetch(`${url}/reset`)).text(), ['GET  UND_ERR_SOCKET']],
  ['a signal that is aborted already', async (url) => fetch(`${url}/ok`, { signal: AbortSignal.abort() }), []],
  [
    'a signal in the middle of the answer',
    async (url) => {
      const abort = new AbortController();
      const response = await fetch(`${url}/hang`, { signal: abort.signal });
      abort.abort();
      return await response.text();
    },
    ['GET 200 AbortError'],
  ],
  [
    'an answer that is given up',
    async (url) => {
      const response = await fetch(`${url}/hang`);
      await response.body?.cancel();
      return 'cancelled';
    },
    ['*'],
  ],
  ['what fetch refuses', async () => fetch('no address'), []],
  ['headers that fetch refuses', async (url) => fetch(url, { headers: { 'a b': '1' } }), []],
];

function said({ name, attributes }: Span): string {
  return `${name} ${attributes['http.response.status_code'] ?? ''} ${attributes['error.type'] ?? ''}`;
}

async function play(
  call: (url: string) => Promise<unknown>,
  traced: boolean,
): Promise<{ result: string; spans: string[] }> {
  const apm = new PerformanceMonitoringManager({ service: 'web', registerGlobals: false });
  await apm.start();
  const undo = traced ? instrumentHttp(apm, { incoming: false }) : (): void => undefined;
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const result = (await outcome(() => call(url))).replaceAll(url, 'address');
    await expect.poll(() => apm.stats().spans.open, { timeout: 10_000 }).toBe(0);
    const spans: string[] = [];
    for await (const trace of apm.findTraces({ limit: 1_000 })) spans.push(...trace.spans.map(said));
    return { result, spans: spans.sort() };
  } finally {
    undo();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await apm.stop();
  }
}

describe('fetch that is traced', () => {
  it.each(calls)('comes to the same, with a span for each request: %s', async (_name, call, expected) => {
    const plain = await play(call, false);
    const traced = await play(call, true);
    expect(traced.result).toBe(plain.result);
    expect(plain.spans).toEqual([]);
    if (expected[0] === '*') expect(traced.spans).toHaveLength(1);
    else expect(traced.spans).toEqual(expected);
  });
});
