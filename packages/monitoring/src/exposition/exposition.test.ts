import { partSuite } from '@mnops/tooling/parts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MetricRegistry } from '../metrics/registry.js';
import { negotiateFormat } from './negotiation.js';
import { boundText, numberText } from './number-text.js';

describe('negotiateFormat', () => {
  it.each([
    [undefined, 'text'],
    ['', 'text'],
    ['*/*', 'text'],
    [
      'application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics',
    ],
    ['text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5', 'text'],
    ['application/openmetrics-text; version=2.0.0', 'text'],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited', 'text'],
    ['application/openmetrics-text;q=nonsense', 'text'],
  ])('%s gives %s', (accept, format) => {
    expect(negotiateFormat(accept)).toBe(format);
  });

  it('survives any header', () => {
    fc.assert(fc.property(fc.string(), (accept) => ['text', 'openmetrics'].includes(negotiateFormat(accept))));
  });
});

describe('numbers', () => {
  it.each([
    [0.005, '0.005'],
    [0.1, '0.1'],
    [1, '1.0'],
    [10, '10.0'],
    [100_000, '100000.0'],
    [1e6, '1e+06'],
    [1.5e6, '1.5e+06'],
    [1e-5, '1e-05'],
    [0.0001, '0.0001'],
    [0, '0.0'],
    [-2.5, '-2.5'],
    [Number.POSITIVE_INFINITY, '+Inf'],
  ])('the bound %d is %s', (bound, text) => {
    expect(boundText(bound)).toBe(text);
  });

  it('reads back the same', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        (value) => Number(numberText(value)) === value && Number(boundText(value)) === value,
      ),
    );
  });
});

describe('the text', () => {
  it('has the histogram’s buckets cumulative, with sum and count', async () => {
    const registry = new MetricRegistry();
    const histogram = registry.histogram({
      name: 'd_seconds',
      help: 'A \\ help\nof two lines.',
      buckets: [0.1, 1],
      labels: ['route'],
    });
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe({ route: '/a"b' }, value);
    expect(await registry.text()).toBe(
      [
        '# HELP d_seconds A \\\\ help\\nof two lines.',
        '# TYPE d_seconds histogram',
        'd_seconds_bucket{route="/a\\"b",le="0.1"} 2',
        'd_seconds_bucket{route="/a\\"b",le="1.0"} 3',
        'd_seconds_bucket{route="/a\\"b",le="+Inf"} 4',
        'd_seconds_sum{route="/a\\"b"} 7.65',
        'd_seconds_count{route="/a\\"b"} 4',
        '',
      ].join('\n'),
    );
  });

  it('is OpenMetrics when asked: family names without _total, units, and an end', async () => {
    const registry = new MetricRegistry();
    registry.counter({ name: 'cpu_seconds_total', help: 'CPU.', unit: 'seconds' }).inc(1.5);
    expect(await registry.text({ accept: 'application/openmetrics-text; version=1.0.0' })).toBe(
      '# TYPE cpu_seconds counter\n# UNIT cpu_seconds seconds\n# HELP cpu_seconds CPU.\ncpu_seconds_total 1.5\n# EOF\n',
    );
  });

  it('turns the event loop while it writes a large registry', async () => {
    const registry = new MetricRegistry();
    const counter = registry.counter({
      name: 'x_total',
      help: 'X.',
      labels: ['a'],
      limits: { valuesPerLabel: 100_000, seriesPerMetric: 100_000 },
    });
    for (let index = 0; index < 50_000; index++) counter.inc({ a: `value-${index}` });
    let chunks = 0;
    for await (const _chunk of registry.expose().body) chunks++;
    expect(chunks).toBeGreaterThan(10);
  });
});

partSuite({ describe, it }, 'prometheus', 'promtool on the exposition', (part) => {
  it('finds nothing to complain about in any registry', async () => {
    // Names that the linter has no opinion on: it dislikes abbreviated units, for instance.
    const word = fc.constantFrom('apple', 'birch', 'cedar', 'daisy', 'elder', 'fern');
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(word, { minLength: 1, maxLength: 4 }),
        fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { minLength: 1, maxLength: 5 }),
        async (names, values) => {
          const registry = new MetricRegistry();
          for (const name of names) {
            for (const value of values) {
              registry
                .counter({ name: `c_${name}_total`, help: 'Things counted.', labels: ['label'] })
                .inc({ label: value }, 1.5);
              registry
                .gauge({ name: `g_${name}`, help: 'A level.', labels: ['label'] })
                .set({ label: value }, Number.NaN);
              registry
                .histogram({ name: `h_${name}_seconds`, help: 'A time.', labels: ['label'] })
                .observe({ label: value }, 0.3);
            }
          }
          const text = await registry.text();
          const verdict = await part.promtool(['check', 'metrics'], { input: text });
          expect(verdict, `${verdict.stderr}\n${text}`).toMatchObject({ code: 0 });
        },
      ),
      { numRuns: 15 },
    );
  });
});
