import { describe, expect, it } from 'vitest';
import { type ShopFault, simulatedShop } from '../../testing/simulated-shop.js';
import { type RootCauseRanking, rankRootCauses } from './rank.js';

const seeds = Array.from({ length: 10 }, (_, index) => index + 1);

function ranked(seed: number, fault: ShopFault | undefined, canaryShare = 0, requests = 400): RootCauseRanking {
  return rankRootCauses({
    normal: simulatedShop({ seed, requests: 1_000 }),
    faulty: simulatedShop({ seed: seed + 500, requests, canaryShare, fault }),
  });
}

describe('rankRootCauses', () => {
  it('names service, version and instance of a release that is slow and fails for a quarter of the requests', () => {
    for (const seed of seeds) {
      const { verdict, candidates } = ranked(
        seed,
        { service: 'catalog', version: '2', addMs: 120, failShare: 0.05 },
        0.25,
      );
      expect(verdict).toBe('found');
      const [first] = candidates;
      expect(first).toMatchObject({ service: 'catalog', version: '2', instance: 'c1', operation: 'GET catalog' });
      expect(first?.score).toBeGreaterThan(0.7);
      const [evidence] = first?.evidence ?? [];
      expect(evidence?.signal).toBe('self-time');
      expect(evidence?.before).toBeLessThan(10);
      expect(evidence?.after).toBeGreaterThan(115);
      expect(evidence?.text).toMatch(/^catalog 2 takes 12\d ms of its own for GET catalog at P90, before it was \d/);
      expect(first?.traceIds.length).toBeGreaterThan(0);
    }
  });

  it('names the version that brought new work, though no other version ever did that work', () => {
    for (const seed of seeds) {
      const slow = simulatedShop({
        seed: seed + 500,
        requests: 400,
        canaryShare: 0.25,
        fault: { service: 'catalog', version: '2', addMs: 120 },
      });
      const discounts = slow
        .filter((span) => span.kind === 'server' && span.resource['service.version'] === '2')
        .map((span, index) => ({
          ...span,
          kind: 'internal' as const,
          name: 'apply discount',
          attributes: {},
          parentSpanId: span.spanId,
          spanId: (index + 1).toString(16).padStart(16, 'd'),
          durationNano: 118_000_000n,
        }));
      const { candidates } = rankRootCauses({
        normal: simulatedShop({ seed, requests: 1_000 }),
        faulty: [...slow, ...discounts],
      });
      expect(candidates[0]).toMatchObject({ service: 'catalog', version: '2', operation: 'apply discount' });
    }
  });

  it('names the service where failures begin, not those that pass them on', () => {
    for (const seed of seeds) {
      const { candidates } = ranked(seed, { service: 'orders', failShare: 0.1 });
      expect(candidates[0]).toMatchObject({ service: 'orders', evidence: [{ signal: 'errors' }] });
      expect(candidates[0]?.version).toBeUndefined();
      expect(candidates[1]?.score ?? 0).toBeLessThan(0.2);
    }
  });

  it('names a new version that has replaced the old one', () => {
    const { candidates } = ranked(1, { service: 'catalog', addMs: 40 }, 1);
    expect(candidates[0]).toMatchObject({ service: 'catalog', version: '2' });
  });

  it('names one bad instance of a version that is otherwise well', () => {
    for (const seed of seeds) {
      const { candidates } = ranked(seed, { service: 'catalog', instance: 's2', addMs: 60 });
      expect(candidates[0]).toMatchObject({ service: 'catalog', instance: 's2' });
      expect(candidates[0]?.version).toBeUndefined();
    }
  });

  it('names a service that sends no spans itself', () => {
    const { candidates } = ranked(2, { service: 'database', addMs: 50 });
    expect(candidates[0]).toMatchObject({ service: 'database', evidence: [{ signal: 'edge-gap' }] });
  });

  it('blames the called service for a slow way to it', () => {
    const { candidates } = ranked(3, { service: 'orders', gapMs: 30 });
    expect(candidates[0]?.service).toBe('orders');
    expect(candidates[0]?.evidence[0]?.text).toContain('From catalog to orders');
  });

  it('sees calls that are missing', () => {
    const { candidates } = ranked(4, { service: 'catalog', skipsCall: true });
    expect(candidates[0]).toMatchObject({
      service: 'catalog',
      evidence: [{ signal: 'structure', before: 1, after: 0 }],
    });
  });

  it('says none when nothing changed, whatever the noise', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      expect(ranked(seed, undefined).candidates, `seed ${seed}`).toEqual([]);
      expect(ranked(seed, undefined, 0.25, 60).candidates, `seed ${seed}`).toEqual([]);
    }
  });

  it('says none when there are too few traces', () => {
    const few = simulatedShop({ seed: 1, requests: 4 });
    const slow = simulatedShop({ seed: 2, requests: 100, fault: { service: 'catalog', addMs: 500 } });
    expect(rankRootCauses({ normal: few, faulty: slow })).toEqual({
      verdict: 'none',
      candidates: [],
      traces: { normal: 4, faulty: 100 },
    });
    expect(rankRootCauses({ normal: slow, faulty: slow, entry: { service: 'nobody' } }).verdict).toBe('none');
  });

  it('bears traces that are cut, cyclic or out of order', () => {
    const spans = simulatedShop({ seed: 1, requests: 50 });
    const broken = spans.map((span, i) => ({
      ...span,
      ...(i % 3 === 0 ? { parentSpanId: span.spanId } : {}),
      ...(i % 5 === 0 ? { durationNano: 0n } : {}),
    }));
    expect(() =>
      rankRootCauses({ normal: spans, faulty: broken.toReversed().filter((_, i) => i % 4 !== 0) }),
    ).not.toThrow();
  });
});
