import { once } from 'node:events';
import http, { type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { wrappedFunctions } from '../testing/wrapped-functions.js';
import { instrumentHttp } from './index.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serving(): Promise<string> {
  const server = http.createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  // Connections stay, however slow the machine is.
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(request: http.ClientRequest): Promise<void> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  for await (const _ of response);
}

async function ended(apm: PerformanceMonitoringManager, count: number): Promise<void> {
  await expect.poll(() => apm.stats().spans, { timeout: 10_000 }).toMatchObject({ ended: count, open: 0 });
}

describe('instrumentHttp', () => {
  it('is undone in the order in which it was put on, too, and below what others put on', async () => {
    const before = wrappedFunctions();
    const apm = new PerformanceMonitoringManager({ service: 'web' });
    await apm.start();
    cleanups.push(() => apm.stop());
    const url = await serving();
    for (const one of [instrumentHttp(apm), instrumentHttp(apm), instrumentHttp(apm)]) one();
    expect(wrappedFunctions()).toEqual(before);
    const undo = instrumentHttp(apm);
    const ours = { request: http.request, emit: http.Server.prototype.emit };
    const theirs: string[] = [];
    http.request = ((...all: Parameters<typeof http.request>) => {
      theirs.push('request');
      return ours.request(...all);
    }) as typeof http.request;
    http.Server.prototype.emit = function (this: Server, ...all: Parameters<Server['emit']>) {
      if (String(all[0]) === 'request') theirs.push('emit');
      return Reflect.apply(ours.emit, this, all);
    } as Server['emit'];
    await answer(http.request(url).end());
    await ended(apm, 2);
    undo();
    await answer(http.request(url).end());
    expect(theirs).toEqual(['request', 'emit', 'request', 'emit']);
    expect(apm.stats().spans.started).toBe(2);
    // They take theirs off, and leave what was there when they came.
    http.request = ours.request;
    http.Server.prototype.emit = ours.emit;
    const again = instrumentHttp(apm);
    await answer(http.get(url));
    await ended(apm, 4);
    again();
    expect(wrappedFunctions()).toEqual(before);
    expect(Object.hasOwn(http.Server.prototype, 'emit')).toBe(false);
  });

  it('leaves nothing behind: no span and no listener after a thousand requests', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'web' });
    await apm.start();
    cleanups.push(() => apm.stop());
    const url = await serving();
    const undo = instrumentHttp(apm);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const counts = (): number[] =>
      Object.values(agent.freeSockets).flatMap((sockets = []) =>
        sockets.map((socket) => socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0)),
      );
    const round = async (requests: number): Promise<void> => {
      for (let done = 0; done < requests; done += 4) {
        await Promise.all(Array.from({ length: 4 }, () => answer(http.get(url, { agent }))));
      }
    };
    await round(100);
    await expect.poll(() => counts().length).toBe(4);
    const before = Math.max(...counts());
    await round(600);
    await expect.poll(() => counts().length).toBe(4);
    expect(Math.max(...counts())).toBeLessThanOrEqual(before);
    for (let done = 0; done < 200; done += 1) await (await fetch(url)).text();
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const given = http.get(url, { agent: false }).on('error', () => undefined);
        given.destroy();
        await new Promise((resolve) => given.once('close', resolve));
      }),
    );
    await expect.poll(() => apm.stats().spans.open, { timeout: 10_000 }).toBe(0);
    // Of those that were given up, some never reached the server.
    expect(apm.stats().spans.started).toBeGreaterThanOrEqual(2 * 900 + 200);
    agent.destroy();
    undo();
  });
});
