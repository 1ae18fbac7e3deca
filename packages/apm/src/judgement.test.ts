import type { Notification, Notifier } from '@mnops/core/spi';
import { eventually, fakeClock, faultServer } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from './performance-monitoring-manager.js';
import { otlp } from './providers/otlp/index.js';
import { simulatedShop } from './testing/simulated-shop.js';

const startMs = 1_700_000_000_000;

function notifierOf(sent: Notification[], fail = false): Notifier {
  return {
    specVersion: 1,
    kind: 'notifier',
    id: 'list',
    capabilities: { resolved: true, threads: false, maxBytes: 1_000 },
    async send(notification) {
      if (fail) throw new Error('the channel is down');
      sent.push(notification);
    },
  };
}

describe('a bad release, from its first slow request to its cause', () => {
  it('opens an anomaly, tells of it, names the cause, and closes it after the roll back', async () => {
    const clock = fakeClock({ nowMs: startMs });
    const sent: Notification[] = [];
    const apm = new PerformanceMonitoringManager({
      service: 'operator',
      clock,
      registerGlobals: false,
      notifiers: [notifierOf(sent), { ...notifierOf([], true), id: 'broken' }],
      store: { maxTraces: 20_000, maxBytes: 200_000_000 },
      analysis: { bucketMs: 1_000, anomalies: { minDurationMs: 3_000 } },
    });
    await apm.start();
    const opened: string[] = [];
    apm.on('anomaly:opened', ({ service, signal }) => opened.push(`${service} ${signal}`));
    apm.on('anomaly:opened', () => {
      throw new Error('a listener breaks');
    });
    process.once('warning', () => undefined);
    const untold: string[] = [];
    apm.on('notification:failed', ({ notifier, message, cause }) => {
      untold.push(`${notifier}: ${message}`);
      expect(cause).toBeInstanceOf(Error);
    });

    const fault = { service: 'catalog', version: '2', addMs: 120, failShare: 0.05 } as const;
    // 200 requests a second for 60 s: normal, then 20 s of a bad canary, then normal again.
    for (let second = 0; second < 60; second += 1) {
      const bad = second >= 25 && second < 45;
      const spans = simulatedShop({
        seed: second + 1,
        requests: 200,
        startMs: clock.now(),
        ...(bad ? { canaryShare: 0.25, fault } : {}),
      });
      await apm.ingest(spans);
      await clock.advance(1_000);
    }
    expect(opened).toContain('catalog duration');
    const anomalies = apm.detectAnomalies({ service: 'catalog', signal: 'duration' });
    expect(anomalies).toHaveLength(1);
    const [anomaly] = anomalies;
    expect(Math.abs((anomaly?.openedAt.getTime() ?? 0) - startMs - 25_000)).toBeLessThanOrEqual(2_000);
    expect(anomaly?.closedAt).toBeDefined();
    expect(apm.detectAnomalies({ open: true })).toEqual([]);
    await eventually(() => sent.some(({ status }) => status === 'resolved'));
    const firing = sent.find(({ key }) => key === 'apm/catalog/GET catalog/duration');
    expect(firing).toMatchObject({ status: 'firing', labels: { service: 'catalog', signal: 'duration' } });
    expect(firing?.text).toMatch(/^catalog GET catalog: the P90 is 1\d\d ms, usual is \d/);
    expect(apm.stats().notifications.failed).toBe(untold.length);
    expect(untold[0]).toBe('broken: the channel is down');

    const report = await apm.findRootCause({
      service: 'catalog',
      at: anomaly?.openedAt ?? new Date(),
      faulty: { from: new Date(startMs + 25_000), to: new Date(startMs + 45_000) },
    });
    expect(report.verdict).toBe('found');
    expect(report.candidates[0]).toMatchObject({ service: 'catalog', version: '2' });
    const example = await apm.getTrace(report.candidates[0]?.traceIds[0] ?? '');
    expect(example?.services).toEqual(['gateway', 'catalog', 'orders']);

    const calm = await apm.findRootCause({
      at: new Date(startMs + 15_000),
      faulty: { from: new Date(startMs + 15_000), to: new Date(startMs + 24_000) },
    });
    expect(calm.verdict).toBe('none');
    const map = apm.serviceMap().dependencies.map(({ client, server, virtual }) => [client, server, virtual]);
    expect(map).toEqual(
      expect.arrayContaining([
        ['gateway', 'catalog', false],
        ['orders', 'database', true],
      ]),
    );
    await apm.stop();
  });

  it('reports health by what is open', async () => {
    const clock = fakeClock({ nowMs: startMs });
    const analysis = { bucketMs: 1_000, anomalies: { minDurationMs: 2_000 } };
    const apm = new PerformanceMonitoringManager({ service: 'operator', clock, registerGlobals: false, analysis });
    await apm.start();
    for (let second = 0; second < 40; second += 1) {
      const fault = second >= 25 ? ({ service: 'orders', failShare: 0.5 } as const) : undefined;
      await apm.ingest(simulatedShop({ seed: second + 1, requests: 50, startMs: clock.now(), fault }));
      await clock.advance(1_000);
      if (second === 20) expect((await apm.healthSource.check({} as never)).status).toBe('healthy');
    }
    const { status, reasons } = await apm.healthSource.check({} as never);
    expect(status).toBe('unhealthy');
    expect(reasons.join()).toContain('orders GET orders');
    await apm.stop();
  });

  it('ignores a wall clock that jumps', async () => {
    const clock = fakeClock({ nowMs: startMs });
    const analysis = { bucketMs: 1_000, anomalies: { minDurationMs: 2_000 } };
    const apm = new PerformanceMonitoringManager({ service: 'operator', clock, registerGlobals: false, analysis });
    await apm.start();
    for (let second = 0; second < 90; second += 1) {
      if (second === 30) clock.jumpWallClock(3_600_000);
      if (second === 60) clock.jumpWallClock(-7_200_000);
      await apm.ingest(simulatedShop({ seed: second + 1, requests: 50, startMs: clock.now() }));
      await clock.advance(1_000);
    }
    expect(apm.detectAnomalies()).toEqual([]);
    await apm.stop();
  });
});

describe('delivery of a manager', () => {
  it('is degraded while a back end is away, and delivers everything once it is back', async () => {
    const server = await faultServer();
    server.next([{ status: 503 }, 'reset', { status: 429, headers: { 'retry-after': '0' } }]);
    const apm = new PerformanceMonitoringManager({
      service: 'shop',
      registerGlobals: false,
      queue: { delayMs: 1, batchSpans: 10 },
      random: () => 0.01,
      exporters: [otlp({ url: server.url })],
    });
    const events: string[] = [];
    apm.on('exporter:down', ({ exporter, code }) => events.push(`${exporter} down ${code}`));
    apm.on('exporter:up', ({ exporter }) => events.push(`${exporter} up`));
    await apm.start();
    for (let i = 0; i < 25; i += 1) apm.trace('work', () => undefined);
    await eventually(() => apm.status === 'degraded');
    expect((await apm.health()).status).toBe('degraded');
    const report = await apm.flush({ timeoutMs: 10_000 });
    expect(report.exporters['otlp']).toMatchObject({ accepted: 25, delivered: 25, held: 0, retries: 3 });
    expect(events).toEqual(['otlp down MNOPS_CORE_UNAVAILABLE', 'otlp up']);
    expect(apm.status).toBe('ready');
    // Our own requests made no spans.
    expect(apm.stats().spans).toMatchObject({ started: 25, ended: 25 });
    await apm.stop();
    expect((await apm.health()).status).toBe('unhealthy');
    await server.close();
  });

  it('gives up at the end of the grace time and says what was lost', async () => {
    const server = await faultServer();
    server.next(Array.from({ length: 50 }, () => 'hang' as const));
    const apm = new PerformanceMonitoringManager({
      service: 'shop',
      registerGlobals: false,
      exporters: [otlp({ url: server.url })],
    });
    const lost: string[] = [];
    apm.on('spans:dropped', ({ reason, count }) => lost.push(`${reason} ${count}`));
    await apm.start();
    for (let i = 0; i < 7; i += 1) apm.trace('work', () => undefined);
    const open = apm.tracer.startSpan('never ended in time');
    await apm.stop({ graceMs: 100 });
    await eventually(() => apm.stats().exporters['otlp']?.held === 0);
    open.end();
    expect(apm.stats().exporters['otlp']).toMatchObject({ accepted: 8, delivered: 0, dropped: { stopped: 8 } });
    expect(lost).toEqual(['stopped 7', 'stopped 1']);
    await server.close();
  });
});
