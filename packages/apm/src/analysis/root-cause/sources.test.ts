import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { simulatedShop } from '../../testing/simulated-shop.js';
import { spanOf } from '../../testing/spans.js';
import type { LogRecord, MetricRole, MetricSeries } from './inputs.js';
import { LogTemplates } from './log-templates.js';
import { rankRootCauses } from './rank.js';

const atMs = 1_700_000_000_000;
const at = new Date(atMs);
const minute = 60_000;

/** A series of forty minutes before and five after, with a little noise. */
function series(service: string, role: MetricRole, before: number, after: number, seed = 1): MetricSeries {
  const random = randomOf(seed);
  const points = Array.from({ length: 45 }, (_, i) => ({
    atMs: atMs + (i - 40) * minute,
    value: (i < 40 ? before : after) * (0.99 + 0.02 * random()),
  }));
  return { service, name: role, role, points };
}

const calls = [
  { client: 'web', server: 'shop' },
  { client: 'shop', server: 'stock' },
  { client: 'shop', server: 'mail' },
];

describe('metrics', () => {
  const traffic = ['web', 'shop', 'stock', 'mail'].map((service) => series(service, 'traffic', 100, 100));

  it('name the deepest service that explains the time that was asked about', () => {
    const metrics = [
      ...traffic,
      series('web', 'latency', 0.2, 0.5, 1),
      series('shop', 'latency', 0.1, 0.4, 2),
      series('stock', 'latency', 0.02, 0.32, 3),
      series('mail', 'latency', 0.05, 0.05, 4),
    ];
    const { verdict, candidates } = rankRootCauses({
      metrics,
      calls,
      entry: { service: 'web', metric: 'latency' },
      at,
    });
    expect(verdict).toBe('found');
    expect(candidates[0]).toMatchObject({ service: 'stock', evidence: [{ signal: 'metric' }] });
    expect(candidates[0]?.evidence[0]?.text).toMatch(/^latency of stock is 0\.3\d*, before it was 0\.0[12]/);
  });

  it('name the service in the middle when those that it calls are as they were', () => {
    const metrics = [
      ...traffic,
      series('web', 'success', 100, 95, 1),
      series('shop', 'success', 100, 95, 2),
      series('stock', 'success', 100, 100, 3),
    ];
    const { candidates } = rankRootCauses({ metrics, calls, entry: { service: 'web', metric: 'success' }, at });
    expect(candidates[0]?.service).toBe('shop');
  });

  it('name who takes much more of a resource, though no time changed', () => {
    const usage = ['web', 'shop', 'stock', 'mail'].map((service, i) =>
      series(service, 'usage', 10, service === 'mail' ? 95 : 10, i + 1),
    );
    expect(rankRootCauses({ metrics: usage, calls, at }).candidates.map(({ service }) => service)).toEqual(['mail']);
  });

  it('say none when what was asked about is as usual', () => {
    const metrics = [...traffic, series('web', 'latency', 0.2, 0.2, 1), series('stock', 'latency', 0.02, 0.3, 2)];
    const ranking = rankRootCauses({ metrics, calls, entry: { service: 'web', metric: 'latency' }, at });
    expect(ranking).toMatchObject({ verdict: 'none', candidates: [] });
  });

  it('bear missing values, empty series, calls in a circle and no calls at all', () => {
    const broken = [
      ...traffic,
      series('web', 'latency', 0.2, 0.5),
      { ...series('shop', 'latency', 1, 2), points: [] },
      series('stock', 'latency', Number.NaN, Number.NaN),
      series('mail', 'latency', 0, Number.POSITIVE_INFINITY),
    ];
    const circle = [...calls, { client: 'stock', server: 'web' }, { client: 'web', server: 'web' }];
    for (const edges of [circle, []]) {
      const entry = { service: 'web', metric: 'latency' };
      const { candidates } = rankRootCauses({ metrics: broken, calls: edges, entry, at });
      expect(candidates.every(({ score }) => Number.isFinite(score))).toBe(true);
      expect(candidates[0]?.service).toBe('web');
    }
    expect(rankRootCauses({})).toMatchObject({ verdict: 'none', traces: { normal: 0, faulty: 0 } });
  });
});

/** Requests of gateway and orders, each with lines; while broken, orders returns before it stores. */
function requests(
  count: number,
  startMs: number,
  broken: boolean,
  fault: 'return' | 'exception',
): { spans: Span[]; logs: LogRecord[] } {
  const spans: Span[] = [];
  const logs: LogRecord[] = [];
  for (let i = 0; i < count; i += 1) {
    const begin = startMs + i * 500;
    const trace = `${begin.toString(16)}`;
    const common = { trace, startMs: begin };
    const isStored = !broken || (fault === 'exception' && i % 2 === 0);
    spans.push(
      spanOf({
        ...common,
        id: `${trace}1`,
        service: 'gateway',
        name: 'POST /orders',
        kind: 'server',
        durationMs: broken ? 12 : 20,
      }),
    );
    spans.push(
      spanOf({
        ...common,
        id: `${trace}2`,
        parent: `${trace}1`,
        service: 'orders',
        name: 'place',
        kind: 'server',
        durationMs: isStored ? 9 : 5,
      }),
    );
    if (isStored)
      spans.push(
        spanOf({ ...common, id: `${trace}3`, parent: `${trace}2`, service: 'orders', name: 'store', durationMs: 4 }),
      );
    if (!broken)
      spans.push(
        spanOf({
          ...common,
          id: `${trace}4`,
          parent: `${trace}1`,
          service: 'mail',
          name: 'send',
          kind: 'server',
          durationMs: 5,
        }),
      );
    const [traceId, spanId] = [spans.at(-1)?.traceId, `${trace}2`.padStart(16, '0')];
    const line = (message: string): LogRecord => ({ service: 'orders', atMs: begin, message, traceId, spanId });
    logs.push(line(`INFO o.OrderService#31 place order ${i}`));
    if (isStored) logs.push(line(`INFO o.OrderService#34 stored order ${i}`));
    if (broken && fault === 'exception')
      logs.push(line(`ERROR o.OrderService#40 java.lang.IllegalStateException: no stock for ${i}`));
  }
  return { spans, logs };
}

describe('what happens in runs', () => {
  const before = requests(200, atMs - 100_000, false, 'return');

  it('names where a call vanished, not the caller that goes another way because of it', () => {
    const now = requests(100, atMs, true, 'return');
    const { candidates } = rankRootCauses({ normal: before.spans, faulty: now.spans, at });
    expect(candidates[0]).toMatchObject({ service: 'orders', operation: 'place' });
    expect(candidates[0]?.evidence[0]).toMatchObject({ signal: 'structure', before: 1, after: 0 });
  });

  it('quotes a line that is new and speaks of an error', () => {
    const now = requests(100, atMs, true, 'exception');
    const { candidates } = rankRootCauses({
      normal: before.spans,
      faulty: now.spans,
      logs: [...before.logs, ...now.logs],
      at,
    });
    expect(candidates[0]?.service).toBe('orders');
    expect(candidates[0]?.evidence[0]).toMatchObject({ signal: 'log', before: 0, after: 1 });
    expect(candidates[0]?.evidence[0]?.text).toContain('IllegalStateException');
  });

  it('finds the service by its lines alone', () => {
    const now = requests(100, atMs, true, 'exception');
    const { candidates } = rankRootCauses({ logs: [...before.logs, ...now.logs], at });
    expect(candidates[0]?.service).toBe('orders');
  });

  it('names the service that throws, by its exception events', () => {
    const now = requests(100, atMs, false, 'return').spans.map((span) =>
      span.name === 'store'
        ? {
            ...span,
            events: [
              {
                name: 'exception',
                timeUnixNano: span.startTimeUnixNano,
                attributes: { 'exception.type': 'Timeout' },
                droppedAttributes: 0,
              },
            ],
          }
        : span,
    );
    const [first] = rankRootCauses({ normal: before.spans, faulty: now, at }).candidates;
    expect(first?.evidence[0]?.text).toBe('orders throws Timeout in 100 % of its runs of store, before it was 0 %.');
  });
});

describe('the time of the change', () => {
  it('is found when the time given is a minute off on either side', () => {
    const calm = simulatedShop({ seed: 1, requests: 30_000 / 5, startMs: atMs - 200_000 });
    const still = simulatedShop({ seed: 2, requests: 60_000 / 30, startMs: atMs - 10_000 });
    const slow = simulatedShop({
      seed: 3,
      requests: 60_000 / 30,
      startMs: atMs,
      fault: { service: 'orders', addMs: 80 },
    });
    const all = [...calm, ...still, ...slow];
    for (const offMs of [-60_000, 0, 60_000]) {
      const isBefore = (span: Span): boolean => Number(span.startTimeUnixNano) / 1e6 < atMs + Math.min(offMs, 5_000);
      const { candidates, changedAt } = rankRootCauses({
        normal: all.filter(isBefore),
        faulty: all.filter((span) => !isBefore(span)),
        at: new Date(atMs + offMs),
      });
      expect(candidates[0]?.service, String(offMs)).toBe('orders');
      expect(Math.abs((changedAt?.getTime() ?? 0) - atMs), String(offMs)).toBeLessThan(10_000);
    }
  }, 60_000);
});

describe('lines', () => {
  it('that differ in values are one template, those of other code are not', () => {
    const templates = new LogTemplates();
    const of = (message: string): string => templates.of({ service: 'a', atMs, message }).what;
    of('19:39:03.269 INFO o.OrderService#34 found 4516be97-7fbe-4f03-9612-a08c05b60e61 after 12 ms');
    const second = of('19:40:00.001 INFO o.OrderService#34 found 00000000-7fbe-4f03-9612-a08c05b60e61 after 7 ms');
    expect(second).toBe('* INFO o.OrderService#34 found * after * ms');
    expect(of('19:40:00.001 INFO o.OrderService#31 found 5 after 7 ms')).not.toBe(second);
  });

  it('are bad by what stands below their first line, whichever came first', () => {
    for (const stack of ['', '\n    at shop.Orders.add(Orders.java:3)']) {
      const templates = new LogTemplates();
      const of = (message: string) => templates.of({ service: 'a', atMs, message });
      of(`Request 12 ended${stack}`);
      expect(of('Request 13 ended').severity).toBe(0);
      expect(of('Request 14 ended\n    at shop.Orders.add(Orders.java:4)').severity).toBe(2);
    }
  });

  it('are told by their first words without values, whatever follows', () => {
    const templates = new LogTemplates();
    const of = (message: string): string => templates.of({ service: 'a', atMs, message }).what;
    expect(of('seat A12 of train Z1234, order #12345678 for -5.2% at deadbeef01/x in row#12 Foo7')).toBe(
      'seat * of train * order #* for * at */x in row#12 Foo7',
    );
    expect(of('a b c d e f g h i j k l m n o p')).toBe('a b c d e f g h i j k l m n');
  });

  it('that begin alike and go on at random are templates up to a bound, and then one', () => {
    const random = randomOf(3);
    const word = (): string => Math.floor(random() * 1e12).toString(36);
    const templates = new LogTemplates();
    const found = new Set<string>();
    for (let i = 0; i < 2_000; i += 1) {
      const message = `INFO shop ${word()} ${word()} ${word()} ${word()} ${word()}`;
      found.add(templates.of({ service: 'a', atMs, message }).what);
    }
    expect(found.has('(other)')).toBe(true);
    expect(found.size).toBeLessThan(400);
    expect(templates.of({ service: 'a', atMs, message: 'WARN shop is closed' }).what).toBe('WARN shop is closed');
  });

  it('without end, of any shape, are borne', () => {
    const random = randomOf(7);
    const word = (): string => Math.floor(random() * 1e12).toString(36);
    const logs = Array.from({ length: 100_000 }, (_, i) => ({
      service: `s${i % 7}`,
      atMs: atMs + i - 50_000,
      message: i % 100 === 0 ? 'x'.repeat(20_000) : `${word()} ${word()} [${word()}\n${word()}`,
    }));
    expect(() => rankRootCauses({ logs, at })).not.toThrow();
  }, 60_000);
});

describe('values at the ends of what numbers can be', () => {
  it('give no answer that is not a number', () => {
    const extremes = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.MAX_VALUE,
      -Number.MAX_VALUE,
      1e149,
      Number.MIN_VALUE,
    ];
    for (const role of ['latency', 'success', 'failures', 'usage', 'traffic'] as const) {
      for (const [before, after] of extremes.flatMap((value) => [
        [1, value],
        [value, 5],
      ]) as [number, number][]) {
        const metrics = ['web', 'shop', ''].map((service) => series(service, role, before, after));
        for (const entry of [undefined, { service: 'web', metric: role }]) {
          const { candidates } = rankRootCauses({ metrics, calls, entry, at });
          for (const { score, evidence } of candidates) {
            const numbers = [score, ...evidence.flatMap((one) => [one.before, one.after])];
            expect(numbers.every(Number.isFinite), `${role} ${before} ${after}`).toBe(true);
          }
        }
      }
    }
  });
});

describe('metrics of several instances', () => {
  const replica = (instance: string, badValue: number) => ({
    service: 'catalog',
    name: 'latency p90',
    role: 'latency' as const,
    instance,
    points: Array.from({ length: 40 }, (_, step) => ({
      atMs: step * 60_000,
      value: step < 35 ? 100 + (step % 3) : badValue + (step % 3),
    })),
  });

  it('are judged by the one that is worst, in any order', () => {
    const one = replica('catalog-1', 900);
    const others = [replica('catalog-2', 100), replica('catalog-3', 100)];
    for (const metrics of [
      [one, ...others],
      [...others, one],
    ]) {
      const { verdict, candidates } = rankRootCauses({ metrics, at: new Date(35 * 60_000) });
      expect(verdict).toBe('found');
      expect(candidates[0]).toMatchObject({ service: 'catalog' });
    }
    expect(rankRootCauses({ metrics: others, at: new Date(35 * 60_000) }).verdict).toBe('none');
  });
});
