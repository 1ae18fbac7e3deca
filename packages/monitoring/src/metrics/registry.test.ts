import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MetricRegistry } from './registry.js';

describe('MetricRegistry', () => {
  it('never lets two label sets meet in one series', async () => {
    const value = fc.oneof(
      fc.constantFrom(
        '',
        'q,b:z',
        'z',
        'q',
        '1|2',
        '2|',
        '"',
        '\\',
        '\n',
        '\u0000',
        '__proto__',
        'constructor',
        '🦊',
        '{}',
        'a="b"',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(value, value), {
          maxLength: 60,
          selector: (pair) => JSON.stringify(pair.map(wellFormed)),
        }),
        async (pairs) => {
          const registry = new MetricRegistry();
          const counter = registry.counter({ name: 'pairs_total', help: 'Pairs.', labels: ['a', 'b'] });
          for (const [index, [a, b]] of pairs.entries()) counter.inc({ a, b }, index + 1);
          for (const [a, b] of pairs) counter.with({ a, b }).inc(1_000);
          const lines = (await registry.text()).split('\n').filter((line) => line.startsWith('pairs_total'));
          expect(lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1))).sort((x, y) => x - y)).toEqual(
            pairs.map((_, index) => index + 1_001),
          );
          expect(new Set(lines.map((line) => line.slice(0, line.lastIndexOf(' ')))).size).toBe(pairs.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('treats an absent label, undefined and the empty text as one', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a', 'b'] });
    counter.inc({ a: '1' });
    counter.inc({ a: '1', b: undefined });
    counter.inc({ a: '1', b: '' });
    counter.inc({ a: 1 as never, b: '' });
    expect(await registry.text()).toContain('x_total{a="1"} 4\n');
  });

  it('keeps counters from falling and from becoming NaN, whatever is given', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.' });
    const histogram = registry.histogram({ name: 'y', help: 'Y.' });
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5', null, {}, [], 5n, true]) {
      counter.inc(bad as never);
      counter.with({}).inc(bad as never);
      histogram.observe(bad as never);
    }
    counter.inc(2);
    counter.inc(Number.MAX_VALUE);
    counter.inc(Number.MAX_VALUE);
    const text = await registry.text();
    expect(text).toContain(`x_total ${2 + Number.MAX_VALUE}\n`);
    expect(text).not.toMatch(/NaN|Nan|\[object/);
    expect(text).toMatch(/mnops_metrics_rejected_total\{metric="x_total",reason="not-a-number"\} \d+/);
    expect(text).toContain('mnops_metrics_rejected_total{metric="x_total",reason="too-large"} 1');
    expect(text).toContain('y_count 1\n'); // -1 is a legal observation
  });

  it('throws a misuse when told to', () => {
    const registry = new MetricRegistry({ onMisuse: 'throw' });
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a'] });
    expect(() => counter.inc({ a: '1' }, -1)).toThrow(
      expect.objectContaining({ code: 'MNOPS_MONITORING_VALUE_INVALID' }),
    );
    expect(() => counter.inc({ b: '1' } as never)).toThrow(/unknown-label/);
  });

  it('counts a label that was not declared, also when a series without it exists', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a', 'b'] });
    counter.inc({ a: '1' });
    counter.inc({ a: '1', other: 'x' } as never);
    counter.with({ a: '1', other: 'x' } as never).inc();
    const text = await registry.text();
    expect(text).toContain('x_total{a="1"} 1\n');
    expect(text).toContain('mnops_metrics_rejected_total{metric="x_total",reason="unknown-label"} 2');
  });

  it('starts a removed series again from zero, and never writes elsewhere', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a'] });
    const old = counter.with({ a: '1' });
    old.inc(5);
    expect(counter.remove({ a: '1' })).toBe(true);
    expect(counter.remove({ a: '1' })).toBe(false);
    expect(await registry.text()).not.toContain('a="1"');
    old.inc();
    const fresh = counter.with({ a: '1' });
    fresh.inc(2);
    old.inc();
    expect(await registry.text()).toContain('x_total{a="1"} 4\n');
    const gauge = registry.gauge({ name: 'g', help: 'G.', labels: ['a'] });
    const handle = gauge.with({ a: 'x' });
    handle.set(9);
    gauge.remove({ a: 'x' });
    handle.inc(2);
    const histogram = registry.histogram({ name: 'h', help: 'H.', labels: ['a'], buckets: [1] });
    const observed = histogram.with({ a: 'x' });
    observed.observe(1);
    histogram.remove({ a: 'x' });
    observed.observe(1);
    const text = await registry.text();
    expect(text).toContain('g{a="x"} 2\n');
    expect(text).toContain('h_count{a="x"} 1\n');
  });

  it('replaces only the label that has too many values, and keeps totals exact', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({
      name: 'x_total',
      help: 'X.',
      labels: ['path', 'method'],
      limits: { valuesPerLabel: 3 },
    });
    for (let index = 0; index < 10; index++) counter.inc({ path: `/${index}`, method: 'GET' });
    const text = await registry.text();
    expect(text).toContain('x_total{path="__overflow__",method="GET"} 7\n');
    expect(text).toContain('mnops_metrics_overflow_total{metric="x_total",label="path"}');
    expect(text).not.toContain('method="__overflow__"');
  });

  it('bounds the series of a metric and of a registry', async () => {
    const registry = new MetricRegistry({ limits: { totalBytes: 20_000 } });
    const small = registry.counter({
      name: 'a_total',
      help: 'A.',
      labels: ['x', 'y'],
      limits: { seriesPerMetric: 10, valuesPerLabel: 5 },
    });
    for (let index = 0; index < 400; index++) small.inc({ x: `${index % 20}`, y: `${index % 19}` });
    const big = registry.counter({
      name: 'b_total',
      help: 'B.',
      labels: ['x'],
      limits: { valuesPerLabel: 100_000, seriesPerMetric: 100_000 },
    });
    for (let index = 0; index < 5_000; index++) big.inc({ x: `value-${index}` });
    const described = Object.fromEntries(registry.describe().map(({ name, series }) => [name, series]));
    expect(described['a_total']).toBeLessThanOrEqual(16);
    expect(described['b_total']).toBeLessThan(200);
    const sum = (name: string, text: string): number =>
      text
        .split('\n')
        .filter((line) => line.startsWith(name))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    const text = await registry.text();
    expect(sum('a_total', text)).toBe(400);
    expect(sum('b_total', text)).toBe(5_000);
  });

  it('frees room for new values when series are removed', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a'], limits: { valuesPerLabel: 2 } });
    counter.inc({ a: '1' });
    counter.inc({ a: '2' });
    counter.remove({ a: '1' });
    counter.inc({ a: '3' });
    expect(await registry.text()).toContain('x_total{a="3"} 1\n');
  });

  it('cuts long label values at a character and keeps different ones apart', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({ name: 'x_total', help: 'X.', labels: ['a'], limits: { labelValueBytes: 40 } });
    counter.inc({ a: `${'é'.repeat(100)}1` });
    counter.inc({ a: `${'é'.repeat(100)}2` });
    const lines = (await registry.text()).split('\n').filter((line) => line.startsWith('x_total'));
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).not.toContain('\uFFFD');
      expect(Buffer.byteLength(/a="([^"]*)"/.exec(line)?.[1] ?? '')).toBeLessThanOrEqual(40);
    }
  });

  it('gives the same metric for the same declaration and refuses another one', () => {
    const registry = new MetricRegistry();
    const first = registry.histogram({ name: 'd_seconds', help: 'D.', labels: ['a'], buckets: [1, 2] });
    expect(registry.histogram({ name: 'd_seconds', help: 'Other words.', labels: ['a'], buckets: [1, 2] })).toBe(first);
    for (const clash of [
      () => registry.gauge({ name: 'd_seconds', help: 'D.', labels: ['a'] }),
      () => registry.histogram({ name: 'd_seconds', help: 'D.', labels: ['b'], buckets: [1, 2] }),
      () => registry.histogram({ name: 'd_seconds', help: 'D.', labels: ['a'], buckets: [1, 3] }),
      () => registry.gauge({ name: 'd_seconds_sum', help: 'D.' }),
    ]) {
      expect(clash).toThrow(expect.objectContaining({ code: 'MNOPS_MONITORING_METRIC_CONFLICT' }));
    }
  });

  it.each([
    [{ name: '1x', help: 'X.' }, 'name'],
    [{ name: 'a-b', help: 'X.' }, 'name'],
    [{ name: 'x', help: 'X.' }, 'name'],
    [{ name: 'x_total', help: '' }, 'help'],
    [{ name: 'x_total', help: 'X.', labels: ['__a'] }, 'labels.__a'],
    [{ name: 'x_total', help: 'X.', labels: ['a', 'a'] }, 'labels.a'],
    [{ name: 'x_total', help: 'X.', unit: 'seconds' }, 'unit'],
    [{ name: 'x_total', help: 'X.', limits: { valuesPerLabel: 0 } }, 'limits.valuesPerLabel'],
  ])('refuses the declaration %j by its field', (options, field) => {
    expect(() => new MetricRegistry().counter(options as never)).toThrow(
      expect.objectContaining({ code: 'MNOPS_MONITORING_METRIC_INVALID', details: expect.objectContaining({ field }) }),
    );
  });

  it.each([[[1, 1]], [[2, 1]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]]])('refuses the buckets %j', (buckets) => {
    expect(() => new MetricRegistry().histogram({ name: 'x', help: 'X.', buckets })).toThrow(/buckets\[/);
  });

  it('puts each value into the bucket whose bound is not below it', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.double({ min: -2e6, max: 2e6, noNaN: true }), { maxLength: 50 }),
        (bounds, values) => {
          const buckets = [...new Set(bounds.map((bound) => bound + 0))].sort((x, y) => x - y); // 0 and -0 are one bound
          const registry = new MetricRegistry();
          const histogram = registry.histogram({ name: 'x', help: 'X.', buckets });
          for (const value of values) histogram.observe(value);
          const family = registry.families()[0];
          const [series] = [...(family?.series ?? [])] as unknown as { counts: Float64Array; count: number }[];
          const expected = [...buckets, Number.POSITIVE_INFINITY].map(
            (bound, index) =>
              values.filter((value) => value <= bound && value > (buckets[index - 1] ?? Number.NEGATIVE_INFINITY))
                .length,
          );
          expect([...(series?.counts ?? [])]).toEqual(expected);
          expect(series?.count).toBe(values.length);
        },
      ),
    );
  });

  it('runs collectors before a scrape, shares one run, and counts the late and the failing', async () => {
    const registry = new MetricRegistry();
    const gauge = registry.gauge({ name: 'g', help: 'G.' });
    let runs = 0;
    registry.collect('good', () => {
      runs++;
      gauge.set(runs);
    });
    registry.collect('bad', () => {
      throw new Error('no');
    });
    const slow = registry.collect('slow', () => new Promise(() => undefined));
    const [one, two] = await Promise.all([registry.text({ timeoutMs: 20 }), registry.text({ timeoutMs: 20 })]);
    expect(runs).toBe(1);
    expect(one).toContain('g 1\n');
    expect(two).toContain('mnops_collector_errors_total{collector="bad"} 1');
    expect(two).toContain('mnops_collector_errors_total{collector="slow"} 1');
    slow.remove();
    expect(await registry.text()).toContain('collector="slow"} 1');
  });

  it('is recognised across copies by its brand', () => {
    expect(MetricRegistry.is(new MetricRegistry())).toBe(true);
    expect(MetricRegistry.is({})).toBe(false);
  });
});

/** Lone surrogates are one value in an exposition, because UTF-8 cannot carry them. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString('utf8');
}
