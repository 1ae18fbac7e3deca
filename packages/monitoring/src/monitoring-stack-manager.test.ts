import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { MetricSource, Notification, Notifier } from '@mnops/core/spi';
import { fakeClock, healthSourceContract, metricSourceContract, notifierContract } from '@mnops/core/testing';
import { partSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { httpMetrics } from './http/http-metrics.js';
import { metricsHandler } from './http/metrics-handler.js';
import { processMetrics } from './metrics/process-metrics.js';
import { MetricRegistry } from './metrics/registry.js';
import { MonitoringStackManager } from './monitoring-stack-manager.js';
import type { RuleGroup } from './rules/alert-rule.js';

function recorder(): { notifier: Notifier; sent: Notification[]; fail(error: unknown): void } {
  const sent: Notification[] = [];
  let failure: unknown;
  return {
    sent,
    fail: (error) => {
      failure = error;
    },
    notifier: {
      specVersion: 1,
      kind: 'notifier',
      id: 'recorder',
      capabilities: { resolved: true, threads: false, maxBytes: 64 },
      async send(notification) {
        if (failure !== undefined) throw failure;
        sent.push(notification);
      },
    },
  };
}

const rules: RuleGroup[] = [
  {
    name: 'shop',
    rules: [
      {
        alert: 'Errors',
        query: {
          ratio: {
            part: { metric: 'requests_total', reduce: 'increase', windowMs: 10_000, match: { status: '5xx' } },
            whole: { metric: 'requests_total', reduce: 'increase', windowMs: 10_000 },
          },
        },
        above: 0.05,
        for: '2s',
        labels: { severity: 'critical' },
        annotations: { summary: '{{ $value | humanizePercentage }} of requests fail' },
      },
    ],
  },
];

describe('MonitoringStackManager', () => {
  it('notices a share of errors, notifies, and resolves', async () => {
    const clock = fakeClock();
    const channel = recorder();
    const monitoring = new MonitoringStackManager({ service: 'shop', rules, notifiers: [channel.notifier], clock });
    const seen: string[] = [];
    for (const event of ['alert:pended', 'alert:fired', 'alert:resolved'] as const) {
      monitoring.on(event, (alert) => seen.push(`${event} ${alert.annotations['summary']}`));
    }
    await monitoring.start();
    const requests = monitoring.metrics.counter({ name: 'requests_total', help: 'Requests.', labels: ['status'] });
    const second = async (good: number, bad: number): Promise<void> => {
      requests.inc({ status: '2xx' }, good);
      requests.inc({ status: '5xx' }, bad);
      await clock.advance(1_000);
    };
    for (let index = 0; index < 5; index++) await second(10, 0);
    expect(monitoring.alerts()).toEqual([]);
    for (let index = 0; index < 4; index++) await second(8, 2);
    expect(monitoring.alerts()).toMatchObject([{ alert: 'Errors', state: 'firing' }]);
    expect((await monitoring.healthSource.check({} as never)).status).toBe('unhealthy');
    for (let index = 0; index < 12; index++) await second(10, 0);
    await monitoring.stop();
    expect(seen.map((text) => text.split(' ')[0])).toEqual(['alert:pended', 'alert:fired', 'alert:resolved']);
    expect(channel.sent.map(({ status, title }) => `${status} ${title.replace(/[\d.]+/, 'N')}`)).toEqual([
      'firing N% of requests fail',
      'resolved N% of requests fail',
    ]);
    expect(channel.sent[1]?.key).toBe(channel.sent[0]?.key);
    expect(monitoring.stats()).toMatchObject({ notificationsSent: 2, notificationsFailed: 0, alertsActive: 0 });
  });

  it('repeats a firing alert after the repeat interval', async () => {
    const clock = fakeClock();
    const channel = recorder();
    const monitoring = new MonitoringStackManager({
      rules: [
        { name: 'g', rules: [{ alert: 'Up', query: { metric: 'g', reduce: 'last', windowMs: 1_000 }, above: 0 }] },
      ],
      notifiers: [channel.notifier],
      repeatIntervalMs: 60_000,
      clock,
    });
    monitoring.metrics.gauge({ name: 'g', help: 'G.' }).set(1);
    await monitoring.start();
    await clock.advance(150_000);
    await monitoring.stop();
    expect(channel.sent.filter(({ status }) => status === 'firing')).toHaveLength(3);
  });

  it('keeps the state of an alert while its source fails, and says so', async () => {
    const clock = fakeClock();
    let answer: 'high' | 'low' | 'down' = 'high';
    const source: MetricSource = {
      specVersion: 1,
      kind: 'metric-source',
      id: 'proxy',
      capabilities: { promql: false, structured: true },
      async query() {
        if (answer === 'down') throw Object.assign(new Error('down'), { code: 'MNOPS_CORE_UNAVAILABLE' });
        return [{ labels: {}, value: answer === 'high' ? 1 : 0, atMs: 0 }];
      },
    };
    const monitoring = new MonitoringStackManager({
      rules: [
        {
          name: 'g',
          interval: '1s',
          rules: [{ alert: 'A', source: 'proxy', query: { metric: 'm', reduce: 'last', windowMs: 1 }, above: 0 }],
        },
      ],
      metricSources: { proxy: source },
      clock,
    });
    const failures: string[] = [];
    monitoring.on('rule:failed', ({ code }) => failures.push(code));
    await monitoring.start();
    await clock.advance(2_000);
    expect(monitoring.alerts()).toHaveLength(1);
    answer = 'down';
    await clock.advance(5_000);
    expect(monitoring.alerts()).toHaveLength(1);
    expect(failures).toEqual(['MNOPS_CORE_UNAVAILABLE']);
    expect(monitoring.status).toBe('degraded');
    expect((await monitoring.health()).reasons).toEqual(['rule g/A cannot be evaluated (MNOPS_CORE_UNAVAILABLE)']);
    answer = 'low';
    await clock.advance(2_000);
    expect(monitoring.alerts()).toEqual([]);
    expect(monitoring.status).toBe('ready');
    await monitoring.stop();
  });

  it('reports a channel that does not deliver, and goes on', async () => {
    const clock = fakeClock();
    const broken = recorder();
    broken.fail(Object.assign(new Error('no'), { code: 'MNOPS_CORE_ACCESS_DENIED' }));
    const good = recorder();
    const monitoring = new MonitoringStackManager({ notifiers: [broken.notifier, good.notifier], clock });
    const failed: string[] = [];
    monitoring.on('notification:failed', ({ notifier, code }) => failed.push(`${notifier} ${code}`));
    await monitoring.start();
    const notification = {
      key: 'k',
      status: 'info',
      severity: 'info',
      title: 'T',
      text: 'é'.repeat(100),
      labels: {},
      links: [],
      startedAtMs: 0,
    } as const;
    await monitoring.notifier.send(notification, {} as never);
    await monitoring.stop();
    expect(failed).toEqual(['recorder MNOPS_CORE_ACCESS_DENIED']);
    expect(good.sent).toHaveLength(1);
  });

  it('replaces rules as a whole or not at all', async () => {
    const clock = fakeClock();
    const monitoring = new MonitoringStackManager({ rules, clock });
    await monitoring.start();
    await expect(
      monitoring.reload({
        rules: [{ name: 'x', rules: [{ alert: 'A', query: { metric: 'm', reduce: 'last', windowMs: 1 } }] }],
      }),
    ).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      details: { issues: [expect.objectContaining({ field: 'rules[0].rules[0]' })] },
    });
    monitoring.metrics.gauge({ name: 'm', help: 'M.' }).set(5);
    await monitoring.reload({
      rules: [
        { name: 'x', rules: [{ alert: 'A', query: { metric: 'm', reduce: 'last', windowMs: 1_000 }, above: 1 }] },
      ],
    });
    await clock.advance(1_000);
    expect(monitoring.alerts()).toMatchObject([{ alert: 'A' }]);
    await monitoring.stop();
  });

  it.each([
    [{ tickMs: 0 }, 'tickMs'],
    [{ ruls: [] }, 'ruls'],
    [{ rules: [{ name: 'g', interval: 'soon', rules: [] }] }, 'rules[0].interval'],
    [
      {
        rules: [
          {
            name: 'g',
            rules: [{ alert: 'A', above: 1, source: 'nowhere', query: { metric: 'm', reduce: 'last', windowMs: 1 } }],
          },
        ],
      },
      'rules[0].rules[0].source',
    ],
    [{ rules: [{ name: 'g', rules: [{ alert: 'A', above: 1, query: { promql: 'up' } }] }] }, 'rules[0].rules[0].query'],
    [
      {
        rules: [
          { name: 'g', rules: [{ alert: 'A', above: 1, query: { metric: 'm', reduce: 'median', windowMs: 1 } }] },
        ],
      },
      'rules[0].rules[0].query.reduce',
    ],
    [
      {
        rules: [
          { name: 'g', rules: [{ alert: 'A', above: 1, query: { metric: 'm', reduce: 'last', windowMs: 900_000 } }] },
        ],
      },
      'rules[0].rules[0].query.windowMs',
    ],
    [
      {
        rules: [
          {
            name: 'g',
            rules: [
              {
                alert: 'A',
                above: 1,
                for: '1',
                annotations: { summary: '{{ x }}' },
                query: { metric: 'm', reduce: 'last', windowMs: 1 },
              },
            ],
          },
        ],
      },
      'rules[0].rules[0].for',
    ],
    [{ metricSources: { registry: {} } }, 'metricSources.registry'],
  ])('refuses %j by its field', (config, field) => {
    let issues: readonly { field: string }[] = [];
    try {
      new MonitoringStackManager(config as never);
    } catch (error) {
      issues = (error as { details: { issues: readonly { field: string }[] } }).details.issues;
    }
    expect(issues.map((issue) => issue.field)).toContain(field);
  });
});

metricSourceContract({ describe, it }, 'the registry', async () => {
  const clock = fakeClock();
  const monitoring = new MonitoringStackManager({ service: 'contract', clock });
  await monitoring.start();
  const { metrics } = monitoring;
  const totals = new Map<string, number>();
  return {
    provider: monitoring.metricSource,
    feed: {
      counter: async (name, labels, total) => {
        const metric = metrics.counter({
          name,
          help: 'Contract.',
          labels: ['service', 'route', 'code', 'canary', 'class'],
        });
        const key = JSON.stringify([name, labels]);
        const before = totals.get(key);
        totals.set(key, total);
        if (before !== undefined && total < before) metric.remove(labels);
        metric.inc(labels, before === undefined || total < before ? total : total - before);
        // A total that was reached before anybody looked lies before the window.
        if (before === undefined && total > 0) await clock.advance(120_000);
      },
      gauge: (name, labels, value) =>
        metrics.gauge({ name, help: 'Contract.', labels: Object.keys(labels) }).set(labels, value),
      observe: (name, labels, value) =>
        metrics.histogram({ name, help: 'Contract.', labels: Object.keys(labels) }).observe(labels, value),
      tick: (ms) => clock.advance(ms),
    },
    close: () => monitoring.stop(),
  };
});

healthSourceContract({ describe, it }, 'alerts', async () => {
  const monitoring = new MonitoringStackManager();
  await monitoring.start();
  return { provider: monitoring.healthSource, close: () => monitoring.stop() };
});

notifierContract({ describe, it }, 'all channels as one', async () => {
  const monitoring = new MonitoringStackManager();
  await monitoring.start();
  return { provider: monitoring.notifier, close: () => monitoring.stop() };
});

async function served(
  handler: Parameters<typeof createServer>[1],
): Promise<{ url: string; server: Server; close(): Promise<void> }> {
  const server = createServer(handler as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('metricsHandler', () => {
  it('answers in the format and encoding that the scraper asks for', async () => {
    const registry = new MetricRegistry();
    registry.counter({ name: 'x_total', help: 'X.' }).inc();
    const { url, close } = await served(
      metricsHandler(registry, { authorize: ({ url: path }) => path !== '/denied' }) as never,
    );
    try {
      const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
      expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(await plain.text()).toContain('x_total 1\n');
      const open = await fetch(url, { headers: { accept: 'application/openmetrics-text' } });
      expect(await open.text()).toMatch(/# EOF\n$/);
      const { request } = await import('node:http');
      const zipped = await new Promise<Buffer>((resolve) => {
        request(url, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => resolve(Buffer.concat(chunks)));
        }).end();
      });
      expect(gunzipSync(zipped).toString()).toContain('x_total 1\n');
      expect((await fetch(`${url}/denied`)).status).toBe(401);
      expect((await fetch(url, { method: 'POST' })).status).toBe(405);
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
    } finally {
      await close();
    }
  });
});

describe('metricsHandler with authorize', () => {
  it.each([
    ['a promise of no', async () => false, 401],
    ['nothing', () => undefined, 401],
    [
      'an error',
      () => {
        throw new Error('no');
      },
      401,
    ],
    [
      'a rejection',
      async () => {
        throw new Error('no');
      },
      401,
    ],
    ['a promise of yes', async () => true, 200],
  ])('takes %s for what it is', async (_, authorize, status) => {
    const { url, close } = await served(
      metricsHandler(new MetricRegistry(), { authorize: authorize as never }) as never,
    );
    try {
      expect((await fetch(url)).status).toBe(status);
    } finally {
      await close();
    }
  });
});

describe('httpMetrics', () => {
  it('counts requests as unmatched whose route function throws', async () => {
    const registry = new MetricRegistry();
    const handler = httpMetrics(registry, (_request, response) => response.end('ok'), {
      route: () => {
        throw new Error('no');
      },
    });
    const { url, close } = await served(handler as never);
    try {
      await (await fetch(url)).text();
      await expect.poll(() => registry.text()).toContain('route="unmatched",status_class="2xx"} 1');
    } finally {
      await close();
    }
  });

  it('measures requests by route template, method and class of status, aborted ones too', async () => {
    const registry = new MetricRegistry();
    const handler = httpMetrics(
      registry,
      (request, response) => {
        if (request.url === '/hang') return;
        response.writeHead(request.url === '/bad' ? 503 : 200).end('ok');
      },
      { route: (request) => (request.url?.startsWith('/orders/') ? '/orders/:id' : (request.url ?? '')) },
    );
    const { url, close } = await served(handler as never);
    try {
      await (await fetch(`${url}/orders/1`)).text();
      await (await fetch(`${url}/orders/2`)).text();
      await (await fetch(`${url}/bad`)).text();
      await fetch(`${url}/hang`, { signal: AbortSignal.timeout(50) }).catch(() => undefined);
      let text = '';
      while (!text.includes('aborted')) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        text = await registry.text();
      }
      expect(text).toContain(
        'http_server_request_duration_seconds_count{method="GET",route="/orders/:id",status_class="2xx"} 2',
      );
      expect(text).toContain(
        'http_server_request_duration_seconds_count{method="GET",route="/bad",status_class="5xx"} 1',
      );
      expect(text).toContain('http_server_active_requests 0\n');
    } finally {
      await close();
    }
  });
});

partSuite({ describe, it }, 'prometheus', 'a real Prometheus', (part) => {
  it('scrapes the handler and sees what was recorded', async () => {
    const registry = new MetricRegistry({ constLabels: { region: 'eu' } });
    const stop = processMetrics(registry);
    const orders = registry.counter({ name: 'orders_total', help: 'Orders.', labels: ['tenant'] });
    orders.inc({ tenant: 'a "quoted" \\ one\nof two lines 🦊' }, 7);
    const duration = registry.histogram({ name: 'work_seconds', help: 'Work.', unit: 'seconds' });
    for (let index = 0; index < 100; index++) duration.observe(index / 100);
    const { url, close } = await served(metricsHandler(registry) as never);
    const server = await part.start({ targets: [url.slice('http://'.length)] });
    try {
      const eventually = async (
        expression: string,
      ): Promise<readonly { labels: Readonly<Record<string, string>>; value: number }[]> => {
        for (;;) {
          const answer = await server.query(expression);
          if (answer.length > 0) return answer;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      const [scraped] = await eventually('orders_total');
      expect(scraped).toMatchObject({
        value: 7,
        labels: { tenant: 'a "quoted" \\ one\nof two lines 🦊', region: 'eu' },
      });
      expect((await eventually('up'))[0]?.value).toBe(1);
      expect((await eventually('histogram_quantile(0.5, work_seconds_bucket)'))[0]?.value).toBeCloseTo(0.5, 1);
      expect((await eventually('process_cpu_seconds_total'))[0]?.value).toBeGreaterThan(0);
    } finally {
      await server.stop();
      await close();
      stop.stop();
    }
  });
});
