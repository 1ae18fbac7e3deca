import type { Span } from '@mnops/core/spi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildServiceMap } from '../analysis/service-map.js';
import type { RootCauseReport } from '../questions/root-cause-query.js';
import { spanOf } from '../testing/spans.js';
import { assembleTrace } from '../trace.js';
import { baselineTable, rootCauseText, serviceMapText } from './tables.js';
import { traceTree } from './trace-tree.js';

const start = 1_700_000_000_000_000_000n;

function at(spanId: string, parentSpanId: string | undefined, more: Partial<Span>): Span {
  const base = spanOf({ service: 'test', id: spanId });
  return {
    ...base,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    startTimeUnixNano: start,
    durationNano: 10_000_000n,
    ...more,
  };
}

const order: Span[] = [
  at('a'.repeat(16), undefined, { name: 'POST /orders', kind: 'server', durationNano: 40_000_000n }),
  at('b'.repeat(16), 'a'.repeat(16), {
    name: 'SELECT stock',
    kind: 'client',
    attributes: { 'db.namespace': 'stock', 'db.system.name': 'postgresql' },
    startTimeUnixNano: start + 10_000_000n,
  }),
  at('c'.repeat(16), 'b'.repeat(16), { name: 'plan', startTimeUnixNano: start + 11_000_000n, durationNano: 1_000n }),
  at('d'.repeat(16), 'a'.repeat(16), {
    name: 'charge card',
    startTimeUnixNano: start + 30_000_000n,
    status: { code: 'error', message: 'declined' },
  }),
];

describe('traceTree', () => {
  it('draws a line per span with its place, service, failure, duration and bar', () => {
    const text = traceTree(assembleTrace('1'.repeat(32), order, true));
    const lines = text.split('\n');
    expect(lines[0]).toBe(`trace ${'1'.repeat(32)}  40.0 ms  4 spans  2023-11-14T22:13:20.000Z  failed`);
    expect(lines[1]).toMatch(/^POST \/orders {2}test +40\.0 ms {2}█{24}$/);
    expect(lines[2]).toMatch(/^├─ SELECT stock {2}test → stock +10\.0 ms {8}█{6}$/);
    expect(lines[3]).toMatch(/^│ {2}└─ plan {2}test +1\.0 µs +▏$/);
    expect(lines[4]).toMatch(/^└─ charge card {2}test {2}✗ declined +10\.0 ms {20}█{6}$/);
    expect(lines).toHaveLength(5);
  });

  it('colours only when asked, and cuts long lines at the width', () => {
    const long = [at('a'.repeat(16), undefined, { name: 'n'.repeat(500) })];
    const trace = assembleTrace('1'.repeat(32), long, true);
    expect(traceTree(trace, { width: 60 }).split('\n')[1]).toHaveLength(60);
    expect(traceTree(trace)).not.toContain('\u001b');
    expect(traceTree(trace, { color: true })).toContain('\u001b[36m');
  });

  it('says what is missing: parents, spans over the limit', () => {
    const orphans = [at('b'.repeat(16), 'e'.repeat(16), { name: 'orphan' }), ...order.slice(0, 1)];
    const text = traceTree(assembleTrace('1'.repeat(32), orphans, true));
    expect(text).toContain('incomplete');
    expect(text).toContain('? orphan');
    expect(traceTree(assembleTrace('1'.repeat(32), order, true), { maxSpans: 2 })).toContain('… 2 more');
  });

  it('draws spans that are each other’s parents, once each, and very deep traces', () => {
    const circle = [
      at('a'.repeat(16), 'b'.repeat(16), { name: 'one' }),
      at('b'.repeat(16), 'a'.repeat(16), { name: 'two' }),
    ];
    const text = traceTree(assembleTrace('1'.repeat(32), circle, true));
    expect(text.match(/one|two/g)).toEqual(['one', 'two']);
    const deep = Array.from({ length: 20_000 }, (_, i) =>
      at(i.toString(16).padStart(16, '0'), i === 0 ? undefined : (i - 1).toString(16).padStart(16, '0'), {
        name: `d${i}`,
      }),
    );
    expect(traceTree(assembleTrace('1'.repeat(32), deep, true), { maxSpans: 20_000 }).split('\n')).toHaveLength(20_001);
  });

  it('shows nothing that a terminal would obey, whatever names and messages hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, message) => {
        const span = at('a'.repeat(16), undefined, { name, status: { code: 'error', message } });
        expect(traceTree(assembleTrace('1'.repeat(32), [span], true)).split('\n')).toHaveLength(2);
      }),
    );
    const attack = [at('a'.repeat(16), undefined, { name: 'x\u001b[2J\u202egnp\ny' })];
    expect(traceTree(assembleTrace('1'.repeat(32), attack, true))).not.toMatch(/\u001b|\u202e/);
  });
});

describe('tables', () => {
  it('writes the service map with who calls whom', () => {
    const text = serviceMapText(buildServiceMap(order));
    expect(text).toMatch(/^stock \(sends no spans\) {2}1 handled/m);
    expect(text).toMatch(/^test {2}1 handled, 0 % failed/m);
    expect(text).toContain('└─ stock  database, 1 calls');
    expect(serviceMapText({ services: [], dependencies: [] })).toBe('no services');
  });

  it('writes baselines in columns', () => {
    const durationMs = { mean: 5, standardDeviation: 1, min: 1, max: 9, p50: 5, p95: 0.05, p99: undefined };
    const window = { from: new Date(0), to: new Date(1) };
    const text = baselineTable([
      {
        service: 'shop',
        operation: 'GET /',
        kind: 'server',
        window,
        bucket: 'all',
        count: 42,
        durationMs,
        errorShare: 0.0005,
        callsPerSecond: 12.345,
        relativeError: 0.0078,
      },
    ]);
    expect(text.split('\n')[1]).toMatch(/^shop {2}GET \/ +42 +12\.3 +5\.00 ms +50\.0 µs +- +< 0\.1 %$/);
    expect(baselineTable([])).toBe('no baselines');
  });

  it('writes a report in words', () => {
    const windows = { normal: { from: new Date(0), to: new Date(1) }, faulty: { from: new Date(1), to: new Date(2) } };
    const traces = { normal: 50, faulty: 40 };
    const none: RootCauseReport = { verdict: 'none', candidates: [], traces, windows, notes: [], elapsedMs: 1 };
    expect(rootCauseText(none)).toBe('No cause stands out (50 traces before, 40 after).');
    const silent = { ...none, notes: ['Metric source registry did not answer.'] };
    expect(rootCauseText(silent)).toBe(`${rootCauseText(none)}\nMetric source registry did not answer.`);
    const evidence = [{ signal: 'errors' as const, before: 0, after: 0.2, text: 'fails 20 % of the calls' }];
    const candidates = [{ service: 'catalog', version: '2.0.0', score: 3.2, evidence, traceIds: ['ab'] }];
    const text = rootCauseText({ ...none, verdict: 'found', candidates } as RootCauseReport);
    expect(text).toContain('1. catalog 2.0.0  score 3.20\n   - fails 20 % of the calls\n   for example trace ab');
  });
});
