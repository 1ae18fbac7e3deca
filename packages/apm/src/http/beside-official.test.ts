import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { TraceExporter } from '@mnops/core/spi';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { BasicTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { otlp } from '../providers/otlp/index.js';
import type { Trace } from '../trace.js';
import { instrumentHttp } from './index.js';

const require = createRequire(import.meta.url);
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function managed(): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({ service: 'web' });
  await apm.start();
  cleanups.push(() => apm.stop());
  return apm;
}

/** One of each: the hook that patches a module does so for the first that asks, and again when that is enabled. */
const instrumentations = [new HttpInstrumentation(), new UndiciInstrumentation()];
require('node:http');
require('node:https');
for (const instrumentation of instrumentations) instrumentation.disable();

/** Turns OpenTelemetry's own instrumentations on until the test ends. */
function official(): void {
  for (const instrumentation of instrumentations) {
    instrumentation.enable();
    // Their tracer stays with the provider that it met first.
    instrumentation.setTracerProvider(trace.getTracerProvider());
    cleanups.push(() => instrumentation.disable());
  }
}

async function serving(): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume();
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function call(url: string): Promise<void> {
  const [response] = (await once(http.get(url), 'response')) as [IncomingMessage];
  for await (const _ of response);
  await (await fetch(url)).text();
}

/** Client and server span of each call, each once: by name of the library that made them. */
async function calls(apm: PerformanceMonitoringManager): Promise<string[]> {
  await expect.poll(() => apm.stats().spans.open).toBe(0);
  const found: string[] = [];
  for await (const { spans } of apm.findTraces()) {
    expect(spans.map(({ kind }) => kind).sort()).toEqual(['client', 'server']);
    const [client, server] = [...spans].sort((one, other) => one.kind.localeCompare(other.kind));
    expect(server?.parentSpanId).toBe(client?.spanId);
    found.push(`${client?.scope.name} > ${server?.scope.name}`);
  }
  return found.sort();
}

const theirs = [
  '@opentelemetry/instrumentation-http > @opentelemetry/instrumentation-http',
  '@opentelemetry/instrumentation-undici > @opentelemetry/instrumentation-http',
];

describe('instrumentHttp and exporters', () => {
  it('makes no spans of what an exporter sends', async () => {
    const url = await serving();
    const apm = new PerformanceMonitoringManager({ service: 'web', exporters: [otlp({ url }), fetching(url)] });
    await apm.start();
    cleanups.push(() => apm.stop());
    cleanups.push(instrumentHttp(apm, { incoming: false }));
    apm.trace('work', () => undefined);
    const { exporters } = await apm.flush();
    expect([exporters['otlp']?.delivered, exporters['fetching']?.delivered]).toEqual([1, 1]);
    expect(apm.stats().spans.started).toBe(1);
    await call(url);
    await expect.poll(() => apm.stats().spans).toMatchObject({ started: 3, ended: 3 });
  });
});

describe("instrumentHttp beside OpenTelemetry's own instrumentations", () => {
  it('makes no second spans where they came first', async () => {
    const apm = await managed();
    official();
    cleanups.push(instrumentHttp(apm));
    const url = await serving();
    await call(url);
    expect(await calls(apm)).toEqual(theirs);
  });

  it('makes no second spans where they come later, and its own once they are gone', async () => {
    const apm = await managed();
    cleanups.push(instrumentHttp(apm));
    const url = await serving();
    const before = cleanups.length;
    official();
    await call(url);
    await call(url);
    expect(await calls(apm)).toEqual([theirs[0], theirs[0], theirs[1], theirs[1]]);
    for (const cleanup of cleanups.splice(before)) await cleanup();
    await call(url);
    const own = (await calls(apm)).filter((one) => one === '@mnops/apm > @mnops/apm');
    expect(own).toHaveLength(2);
  });

  it('works inside an SDK that runs already, whose context it uses', async () => {
    const finished: ReadableSpan[] = [];
    const apm = new PerformanceMonitoringManager({ service: 'web' });
    const provider = new BasicTracerProvider({
      spanProcessors: [
        apm.spanProcessor as never,
        {
          onStart: () => undefined,
          onEnd: (span) => finished.push(span),
          forceFlush: async () => undefined,
          shutdown: async () => undefined,
        },
      ],
    });
    trace.setGlobalTracerProvider(provider);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    cleanups.push(() => {
      trace.disable();
      context.disable();
      propagation.disable();
    });
    await apm.start();
    cleanups.push(() => apm.stop());
    cleanups.push(instrumentHttp(apm));
    const server = http.createServer((_request, response) => {
      trace.getTracer('app').startActiveSpan('inner', (span) => span.end());
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await trace.getTracer('app').startActiveSpan('outer', async (span) => {
      await call(url);
      span.end();
    });
    await expect.poll(() => apm.stats().spans.open).toBe(0);
    const found: Trace[] = [];
    for await (const whole of apm.findTraces()) found.push(whole);
    const [one] = found;
    // Theirs and ours are one trace: outer > 2 x (client > server > inner).
    expect(one?.spans.map(({ name }) => name).sort()).toEqual(['GET', 'GET', 'GET', 'GET', 'inner', 'inner', 'outer']);
    const byId = new Map(one?.spans.map((span) => [span.spanId, span] as const));
    for (const inner of one?.spans.filter(({ name }) => name === 'inner') ?? []) {
      const above = byId.get(inner.parentSpanId ?? '');
      const client = byId.get(above?.parentSpanId ?? '');
      expect([above?.kind, client?.kind, byId.get(client?.parentSpanId ?? '')?.name]).toEqual([
        'server',
        'client',
        'outer',
      ]);
    }
    expect(finished.map(({ name }) => name).sort()).toEqual(['inner', 'inner', 'outer']);
  });
});

/** An exporter that sends by `fetch`, as those of users may. */
function fetching(url: string): TraceExporter {
  return {
    specVersion: 1,
    kind: 'trace-exporter',
    id: 'fetching',
    capabilities: {
      maxRequestBytes: 1e6,
      maxSpansPerRequest: 100,
      partialSuccess: false,
      safeToRepeat: true,
      delivers: 'remote',
    },
    async export({ spanCount }) {
      await (await fetch(url, { method: 'POST', body: '{}' })).text();
      return { accepted: spanCount, rejected: 0 };
    },
  };
}
