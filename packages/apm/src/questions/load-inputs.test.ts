import type {
  LogBatch,
  LogEntry,
  LogSearch,
  LogSource,
  LogStoreQuery,
  MetricQuery,
  MetricSample,
  MetricSource,
} from '@mnops/core/spi';
import { eventually, type FakeClock, fakeClock, testCall } from '@mnops/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { logSearchLoading } from './load-logs.js';
import type { MetricQuestion } from './metric-question.js';
import type { RootCauseQuery, RootCauseReport } from './root-cause-query.js';

const minute = 60_000;
let clock: FakeClock;
let at: Date;

beforeEach(() => {
  clock = fakeClock();
  at = new Date(clock.now() - 2 * minute);
});

function find(query: Partial<RootCauseQuery>, options = {}): Promise<RootCauseReport> {
  return new PerformanceMonitoringManager({ clock, registerGlobals: false }).findRootCause({ at, ...query }, options);
}

type Answering = (query: MetricQuery, atMs: number) => Promise<readonly MetricSample[]>;

function source(answer: Answering): MetricSource & { readonly asked: [MetricQuery, number][] } {
  const asked: [MetricQuery, number][] = [];
  return {
    specVersion: 1,
    kind: 'metric-source',
    id: 'registry',
    capabilities: { promql: true, structured: true },
    asked,
    query: (query, call) => {
      asked.push([query, call.atMs ?? 0]);
      return answer(query, call.atMs ?? 0);
    },
  };
}

const memory: MetricQuestion = {
  name: 'memory',
  role: 'usage',
  query: { metric: 'memory_bytes', reduce: 'last' },
  instanceLabel: 'pod',
};
const grows: Answering = async (_, atMs) => [
  { labels: { service: 'shop', pod: 'a' }, value: 10, atMs },
  { labels: { service: 'stock', pod: 'b' }, value: atMs > at.getTime() ? 95 : 10, atMs },
  { labels: {}, value: 1, atMs },
  { labels: { service: 'odd' }, value: Number.NaN, atMs },
];

describe('metrics that a source is asked for', () => {
  it('are loaded from before and after the time, step by step, and ranked', async () => {
    const registry = source(grows);
    const report = await find({ metrics: registry, metricQuestions: [memory] });
    expect(report).toMatchObject({ verdict: 'found', candidates: [{ service: 'stock' }], notes: [] });
    expect(report.candidates[0]?.evidence[0]?.text).toBe('memory of stock is 95, before it was 10.');
    const ends = registry.asked.map(([, atMs]) => atMs - at.getTime());
    // Two minutes have passed since: ten steps of 12 s, and whole steps of the ten minutes before.
    expect(ends.slice(0, 3)).toEqual([0, 12_000, -12_000]);
    expect([Math.max(...ends), Math.min(...ends), ends.length]).toEqual([2 * minute, -588_000, 60]);
    expect(registry.asked[0]?.[0]).toEqual({ ...memory.query, windowMs: 12_000, by: ['service', 'pod'] });
  });

  it('stand beside given series, and by default are those of requests and processes', async () => {
    const registry = source(async () => []);
    const points = Array.from({ length: 12 }, (_, i) => ({
      atMs: at.getTime() + (i - 9) * minute,
      value: i < 9 ? 1 : 9,
    }));
    const given = { service: 'mail', name: 'queue', role: 'usage' as const, points };
    const report = await find({ metrics: [registry, given] });
    expect(report).toMatchObject({ verdict: 'found', candidates: [{ service: 'mail' }], notes: [] });
    const metrics = registry.asked.map(([query]) =>
      'ratio' in query ? 'ratio' : 'metric' in query ? query.metric : '',
    );
    expect(new Set(metrics)).toEqual(
      new Set([
        'http_server_request_duration_seconds',
        'ratio',
        'process_cpu_seconds_total',
        'process_resident_memory_bytes',
      ]),
    );
  });

  it('are asked for no more than 60 times on either side, those next to the time', async () => {
    const registry = source(async () => []);
    const days = 86_400_000;
    at = new Date(clock.now() - 300 * days);
    const faulty = { from: at, to: new Date(clock.now()) };
    await find({ metrics: registry, metricQuestions: [memory], faulty });
    const ends = registry.asked.map(([, atMs]) => atMs - at.getTime());
    expect([Math.max(...ends), Math.min(...ends), ends.length]).toEqual([60 * minute, -9 * minute, 70]);
  });

  it('that are refused are told and asked for no more; the others count', async () => {
    const refused = { name: 'speed', role: 'latency', query: { promql: 'speed' } } as const;
    const registry = source(async (query, atMs) => {
      if ('promql' in query) throw Object.assign(new Error('password=hunter2'), { code: 'MNOPS_CORE_UNSUPPORTED' });
      return grows(query, atMs);
    });
    const report = await find({ metrics: registry, metricQuestions: [refused, memory] });
    expect(report.candidates[0]?.service).toBe('stock');
    expect(report.notes).toEqual(['Metric source registry did not answer about "speed": MNOPS_CORE_UNSUPPORTED.']);
    expect(registry.asked.filter(([query]) => 'promql' in query).length).toBeLessThan(12);
  });

  it('that come as something else are told', async () => {
    const report = await find({
      metrics: source(async () => 7 as never),
      metricQuestions: [memory],
    });
    expect(report.notes).toEqual(['Metric source registry did not answer about "memory": an error without a code.']);
  });

  it('that come too late are told, what came before counts', async () => {
    const slow = source((query, atMs) =>
      atMs < at.getTime() - 5 * minute ? new Promise<never>(() => undefined) : grows(query, atMs),
    );
    const finding = find({ metrics: slow, metricQuestions: [memory] }, { timeoutMs: 3_000 });
    await eventually(() => slow.asked.some(([, atMs]) => atMs < at.getTime() - 5 * minute));
    await clock.advance(3_000);
    const report = await finding;
    expect(report.candidates[0]?.service).toBe('stock');
    expect(report.notes).toEqual(['Metrics are incomplete: MNOPS_CORE_TIMEOUT.']);
  });

  it('are given up when the caller gives up', async () => {
    const controller = new AbortController();
    const silent = source(() => new Promise<never>(() => undefined));
    const finding = find({ metrics: silent }, { signal: controller.signal });
    await eventually(() => silent.asked.length > 0);
    controller.abort(new Error('enough'));
    await expect(finding).rejects.toThrow('enough');
  });

  it('are refused when the question has a role that is not known', async () => {
    const wrong = { ...memory, role: 'speed' } as never;
    await expect(find({ metrics: source(grows), metricQuestions: [wrong] })).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      message: expect.stringContaining('metricQuestions.0.role'),
    });
  });
});

function entry(atMs: number, id: number, message: string): LogEntry {
  return {
    id: String(id),
    stream: 'stock/stock-1/stdout',
    timeMs: atMs,
    observedMs: atMs,
    level: 'error',
    severityNumber: 17,
    message,
    attributes: {},
    resource: id % 2 === 0 ? { 'service.name': 'stock' } : {},
  };
}

function logSearch(entries: readonly LogEntry[], asked: LogStoreQuery[] = []): LogSearch {
  return {
    specVersion: 1,
    kind: 'log-search',
    id: 'logging',
    search: async (query) => {
      asked.push(query);
      const { fromMs = 0, toMs = Infinity, sort, limit, after = '0' } = query;
      const matching = entries.filter(({ timeMs }) => timeMs >= fromMs && timeMs < toMs);
      if (sort === 'newest-first') matching.reverse();
      const page = matching.slice(Number(after), Number(after) + limit);
      const end = Number(after) + page.length;
      const rest = end < matching.length ? { next: String(end) } : {};
      return { entries: page, ...rest, partial: [], scannedBytes: 0, tookMs: 0 };
    },
  };
}

describe('lines that are searched for', () => {
  it('are read page by page around the time, and show what is new', async () => {
    const entries = Array.from({ length: 16_000 }, (_, i) => {
      const isAfter = i >= 8_000;
      const atMs = at.getTime() + (i - 8_000) * 12;
      return entry(atMs, i, isAfter && i % 2 === 0 ? 'lock timed out after 5 ms' : `sold item ${i}`);
    });
    const asked: LogStoreQuery[] = [];
    const report = await find({ logs: logSearch(entries, asked) });
    expect(report).toMatchObject({ verdict: 'found', candidates: [{ service: 'stock' }], notes: [] });
    expect(report.candidates[0]?.evidence.map(({ text }) => text).join()).toContain('lock timed out after');
    expect(asked.map(({ sort, after }) => [sort, after])).toEqual([
      ['oldest-first', undefined],
      ['oldest-first', '5000'],
      ['newest-first', undefined],
      ['newest-first', '5000'],
    ]);
  });

  it('that cannot be had are told', async () => {
    const broken = { ...logSearch([]), search: () => Promise.reject(new TypeError('no')) };
    expect((await find({ logs: broken })).notes).toEqual([
      'Log search logging did not answer: an error without a code.',
    ]);
  });

  it('that come too late change nothing any more', async () => {
    let answer = (): void => undefined;
    const late: LogSearch = {
      ...logSearch([]),
      search: async () => {
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return { entries: [], partial: ['storage-damaged'], scannedBytes: 0, tookMs: 0 };
      },
    };
    const times = { fromMs: 0, atMs: 1, toMs: 2 };
    const { run, loaded } = logSearchLoading(late, times);
    const controller = new AbortController();
    const running = run({ ...testCall(), signal: controller.signal });
    controller.abort(new Error('too late'));
    await expect(running).rejects.toThrow('too late');
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(loaded().notes).toEqual([]);
  });

  it('may be missing in part, and a cursor without end does not hold the answer up', async () => {
    const endless: LogSearch = {
      ...logSearch([]),
      search: async () => ({ entries: [], next: 'x', partial: ['storage-damaged'], scannedBytes: 0, tookMs: 0 }),
    };
    expect((await find({ logs: endless })).notes).toEqual(['Lines of logging may be missing: storage-damaged.']);
  });
});

function stream(batches: (signal: AbortSignal) => AsyncIterable<LogBatch>): LogSource {
  return {
    specVersion: 1,
    kind: 'log-source',
    id: 'local-processes',
    capabilities: { scope: 'application', resume: 'exact' },
    read: (_, call) => batches(call.signal),
  };
}

describe('lines of a stream', () => {
  const iso = (seconds: number): string => new Date(at.getTime() + seconds * 1_000).toISOString();

  it('are read to what there is now, in every usual form', async () => {
    let ended = false;
    const frames = (from: number, to: number, line: (i: number) => string) =>
      Array.from({ length: to - from }, (_, i) => ({ bytes: line(from + i) }));
    const source = stream(async function* (signal) {
      yield { stream: 'stock/1/stdout', frames: frames(-500, 0, (i) => `${iso(i)} INFO sold item ${i}`) };
      yield {
        stream: 'x/2/stdout',
        identity: { name: 'stock' },
        frames: [
          { bytes: Buffer.from(`{"time":${at.getTime()},"level":50,"msg":"lock `), partial: true },
          { bytes: 'timed out"}' },
          ...frames(1, 100, (i) => JSON.stringify({ '@timestamp': iso(i), level: 'error', message: 'lock timed out' })),
          { bytes: '  at second line of the error' },
        ],
      };
      yield { stream: 'x/3/stdout', frames: [{ bytes: 'no time at all' }, { bytes: '' }] };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      ended = true;
    });
    const finding = find({ logs: source });
    await eventually(() => clock.pending >= 2);
    let report: RootCauseReport | undefined;
    void finding.then((value) => {
      report = value;
    });
    await eventually(async () => {
      await clock.advance(1_000);
      return report !== undefined;
    });
    expect(report).toMatchObject({ verdict: 'found', candidates: [{ service: 'stock' }] });
    expect(report?.candidates[0]?.evidence[0]?.text).toContain('lock timed out');
    expect(report?.notes).toEqual(['1 lines of local-processes say no time.']);
    expect(ended).toBe(true);
  });

  it('that break are told', async () => {
    const source = stream(async function* () {
      yield { stream: 'stock/1', frames: [] };
      throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    });
    expect((await find({ logs: source })).notes).toEqual(['Log source local-processes did not answer: ECONNRESET.']);
  });
});
