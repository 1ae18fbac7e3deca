import type { Span } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { spanOf } from '../testing/spans.js';
import type { APMSnapshot } from './apm-snapshot.js';

const startMs = Date.UTC(2026, 0, 7, 12);

function manager(): PerformanceMonitoringManager {
  return new PerformanceMonitoringManager({
    service: 'joined',
    registerGlobals: false,
    clock: fakeClock({ nowMs: startMs }),
  });
}

/** Requests through web, api and a database; some fail, a message goes out with each. */
function traffic(seed: number, count: number): Span[] {
  const spans: Span[] = [];
  for (let i = 0; i < count; i += 1) {
    const n = ((seed + 1) * 7_919 + i * 104_729) % 997;
    const id = (part: number): string => (i * 16 + part + 1).toString(16);
    const trace = (i + 1).toString(16);
    const base = { trace, startMs: startMs - 1_000 + (i % 500), error: n % 5 === 0 };
    const ms = 1 + (n % 300) / 7;
    spans.push(
      spanOf({ ...base, id: id(0), service: 'web', name: 'GET /', kind: 'server', durationMs: ms * 3 }),
      spanOf({
        ...base,
        id: id(1),
        parent: id(0),
        service: 'web',
        name: 'call',
        kind: 'client',
        durationMs: ms * 2,
        attributes: { 'server.address': n % 2 === 0 ? 'api' : 'api.internal' },
      }),
      spanOf({ ...base, id: id(2), parent: id(1), service: 'api', name: 'GET /x', kind: 'server', durationMs: ms }),
      spanOf({
        ...base,
        id: id(3),
        parent: id(2),
        service: 'api',
        name: 'SELECT',
        kind: 'client',
        durationMs: ms / 2,
        attributes: { 'db.namespace': 'stock' },
      }),
      spanOf({ ...base, id: id(4), parent: id(2), service: 'api', name: 'publish', kind: 'producer', durationMs: 1 }),
      spanOf({ ...base, id: id(5), parent: id(4), service: 'mail', name: 'send', kind: 'consumer', durationMs: 5 }),
    );
  }
  return spans;
}

const throughJson = (snapshot: APMSnapshot): APMSnapshot => JSON.parse(JSON.stringify(snapshot)) as APMSnapshot;

/** What all spans in one process give, and what they give when each is in one of several processes. */
async function split(spans: readonly Span[], processes: number, processOf: (span: Span, index: number) => number) {
  const whole = manager();
  await whole.ingest(spans);
  const parts = Array.from({ length: processes }, manager);
  for (const [number, part] of parts.entries()) {
    await part.ingest(spans.filter((span, index) => processOf(span, index) % processes === number));
  }
  return { whole, snapshots: parts.map((part) => throughJson(part.exportSnapshot())) };
}

const figuresOf = (apm: PerformanceMonitoringManager) =>
  apm
    .baselines()
    .map(({ service, operation, kind, count, durationMs: { p50, p95, p99, min, max }, errorShare, bucket }) => ({
      ...{ service, operation, kind, count, p50, p95, p99, min, max, errorShare, bucket },
    }))
    .sort((a, b) => (`${a.service}${a.operation}` < `${b.service}${b.operation}` ? -1 : 1));

describe('snapshots', () => {
  it('gives the map and the baselines of one process that saw every span, however the spans were spread', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1_000),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 40 }),
        async (seed, processes, count) => {
          const services = ['web', 'api', 'mail'];
          const byService = (span: Span): number => services.indexOf(String(span.resource['service.name']));
          const anywhere = (_: Span, index: number): number => (index * 31 + seed) % 7;
          for (const processOf of [byService, anywhere]) {
            const { whole, snapshots } = await split(traffic(seed, count), processes, processOf);
            const joined = manager();
            for (const snapshot of snapshots) joined.mergeSnapshot(snapshot);
            expect(joined.serviceMap()).toEqual(whole.serviceMap());
            expect(figuresOf(joined)).toEqual(figuresOf(whole));
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('does not care about order, repetition or detours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000), fc.array(fc.nat(3), { minLength: 0, maxLength: 12 }), async (seed, order) => {
        const { snapshots } = await split(traffic(seed, 12), 4, (_, index) => index % 4);
        const [straight, detour] = [manager(), manager()];
        for (const snapshot of snapshots) straight.mergeSnapshot(snapshot);
        // First some in any order, then all; half of them by way of another process.
        const between = manager();
        for (const index of order) between.mergeSnapshot(snapshots[index] as APMSnapshot);
        const passedOn = throughJson(between.exportSnapshot());
        detour.mergeSnapshot(passedOn);
        for (const snapshot of snapshots.toReversed()) detour.mergeSnapshot(snapshot);
        detour.mergeSnapshot(passedOn);
        expect(detour.serviceMap()).toEqual(straight.serviceMap());
        expect(detour.baselines()).toEqual(straight.baselines());
      }),
      { numRuns: 25 },
    );
  });

  it('lets the newest state of a process replace the one before, and never counts itself', async () => {
    const [a, b] = [manager(), manager()];
    const spans = traffic(1, 40);
    await a.ingest(spans.slice(0, 60));
    const early = a.exportSnapshot();
    await a.ingest(spans.slice(60));
    const late = a.exportSnapshot();
    for (const snapshot of [late, early, late]) b.mergeSnapshot(throughJson(snapshot));
    expect(b.serviceMap()).toEqual(a.serviceMap());
    const before = a.serviceMap();
    a.mergeSnapshot(throughJson(b.exportSnapshot()));
    expect(a.serviceMap()).toEqual(before);
    expect([a.stats().shared.sources, b.stats().shared.sources]).toEqual([1, 1]);
  });

  it('refuses sketches of another resolution', async () => {
    const snapshot = { ...manager().exportSnapshot(), bucketsPerOctave: 32 };
    expect(() => manager().mergeSnapshot(snapshot)).toThrowError(
      expect.objectContaining({ code: 'MNOPS_APM_SKETCH_MISMATCH' }),
    );
  });

  it('refuses what is no snapshot, names the field, and takes nothing of it', async () => {
    const source = manager();
    await source.ingest(traffic(3, 20));
    const good = JSON.stringify(source.exportSnapshot());
    const target = manager();
    const refused = (value: unknown): string => {
      try {
        target.mergeSnapshot(value as APMSnapshot);
      } catch (error) {
        const { code, details } = error as { code: string; details: { field: string } };
        expect(code).toBe('MNOPS_APM_SNAPSHOT_INVALID');
        return details.field;
      }
      return 'taken';
    };
    for (const value of [undefined, null, 7, 'x', [], {}]) expect(refused(value)).toMatch(/^snapshot/);
    const cases: readonly (readonly [field: string, value: unknown])[] = [
      ['version', 2],
      ['sources', 'many'],
      ['sources[0].id', '../../etc'],
      ['sources[0].sequence', -1],
      ['sources[0].operations[0].kind', 'servr'],
      ['sources[0].operations[0].all.errors', 1e9],
      ['sources[0].edges[0].calls', null],
      ['sources[0].edges[0].clientMs.buckets[0]', 9e9],
      ['sources[0].edges[0].clientMs.count', 1e12],
    ];
    for (const [field, value] of cases) {
      const changed = JSON.parse(good) as Record<string, unknown>;
      const path = field.split(/[.[\]]+/).filter((part) => part !== '');
      const last = path.pop() as string;
      const holder = path.reduce((at, part) => at[part] as Record<string, unknown>, changed);
      holder[last] = value;
      expect(refused(changed)).toBe(`snapshot.${field}`);
    }
    expect(target.serviceMap()).toEqual({ services: [], dependencies: [] });
    expect(target.baselines()).toEqual([]);
  });

  it('survives any JSON that a changed snapshot can be: taken or refused by name', async () => {
    const source = manager();
    await source.ingest(traffic(5, 6));
    const good = JSON.stringify(source.exportSnapshot());
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom('0', '9', '"', '-', ']', '{', 'e', 'null'), (at, text) => {
        let value: APMSnapshot;
        try {
          value = JSON.parse(good.slice(0, at) + text + good.slice(at + 1)) as APMSnapshot;
        } catch {
          return;
        }
        const target = manager();
        try {
          target.mergeSnapshot(value);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^MNOPS_APM_S/);
        }
        target.serviceMap();
        for (const { durationMs } of target.baselines()) expect(durationMs.mean).not.toBeNaN();
      }),
      { numRuns: 500 },
    );
  });

  it('bounds what it holds of others, and counts what it lets go', async () => {
    const target = new PerformanceMonitoringManager({
      service: 'joined',
      registerGlobals: false,
      clock: fakeClock({ nowMs: startMs }),
      analysis: { maxBytes: 300_000 },
    });
    for (let i = 0; i < 40; i += 1) {
      const part = manager();
      await part.ingest(traffic(i, 20));
      target.mergeSnapshot(part.exportSnapshot());
    }
    const { sources, bytes, evictedSources } = target.stats().shared;
    expect(bytes).toBeLessThanOrEqual(300_000);
    expect(sources + evictedSources).toBe(40);
  });

  it('keeps how many spans one stands for that waits for its other side', async () => {
    const [caller, called] = [manager(), manager()];
    const sampled = { 'sampling.adjusted_count': 20 };
    const client = { id: '1', service: 'web', name: 'call', kind: 'client', attributes: sampled } as const;
    const server = {
      id: '2',
      parent: '1',
      service: 'api',
      name: 'GET /x',
      kind: 'server',
      attributes: sampled,
    } as const;
    await caller.ingest([spanOf({ trace: '1', startMs, ...client })]);
    await called.ingest([spanOf({ trace: '1', startMs, ...server })]);
    const joined = manager();
    joined.mergeSnapshot(throughJson(caller.exportSnapshot()));
    joined.mergeSnapshot(throughJson(called.exportSnapshot()));
    expect(joined.serviceMap().dependencies).toMatchObject([{ client: 'web', server: 'api', calls: 20 }]);
  });

  it('has nothing to share without analysis', () => {
    const apm = new PerformanceMonitoringManager({ service: 'x', analysis: false });
    expect(() => apm.exportSnapshot()).toThrowError(expect.objectContaining({ code: 'MNOPS_CORE_UNSUPPORTED' }));
  });
});
