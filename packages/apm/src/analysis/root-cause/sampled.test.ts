import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { type ShopFault, simulatedShop } from '../../testing/simulated-shop.js';
import { rankRootCauses } from './rank.js';

/** Keeps failed traces, those that took long, and one in so many of the others, as sampling at the tail does. */
function tailSampled(spans: readonly Span[], oneIn: number, longMs: number, seed: number): Span[] {
  const random = randomOf(seed);
  const byTrace = new Map<string, Span[]>();
  for (const span of spans) byTrace.set(span.traceId, [...(byTrace.get(span.traceId) ?? []), span]);
  return [...byTrace.values()].flatMap((trace) => {
    const isOdd = trace.some(
      ({ status, durationNano }) => status.code === 'error' || Number(durationNano) / 1e6 > longMs,
    );
    const isDrawn = random() < 1 / oneIn;
    if (isOdd) return trace;
    if (!isDrawn) return [];
    return trace.map((span) => ({ ...span, attributes: { ...span.attributes, 'sampling.adjusted_count': oneIn } }));
  });
}

const seeds = [1, 2, 3, 4, 5];

describe('traces that were sampled at the tail', () => {
  const faults: readonly ShopFault[] = [
    { service: 'catalog', version: '2', addMs: 60 },
    { service: 'orders', failShare: 0.1 },
    { service: 'database', addMs: 20 },
  ];

  it('give the same first cause from a twentieth of the spans', () => {
    for (const seed of seeds) {
      for (const fault of faults) {
        const calm = simulatedShop({ seed, requests: 3_000 });
        const now = simulatedShop({ seed: seed + 500, requests: 2_000, canaryShare: 0.1, fault });
        const [normal, faulty] = [tailSampled(calm, 25, 40, seed), tailSampled(now, 25, 40, seed + 1)];
        expect(normal.length).toBeLessThan(0.06 * calm.length);
        const [whole] = rankRootCauses({ normal: calm, faulty: now }).candidates;
        const [part] = rankRootCauses({ normal, faulty }).candidates;
        expect(whole?.service).toBe(fault.service);
        expect(part?.service, `seed ${seed}, ${JSON.stringify(fault)}`).toBe(whole?.service);
      }
    }
  }, 120_000);

  it('are not taken for trouble where only how they were sampled has changed', () => {
    for (const seed of seeds) {
      const normal = simulatedShop({ seed, requests: 2_000, fault: { service: 'orders', failShare: 0.02 } });
      const same = simulatedShop({ seed: seed + 500, requests: 2_000, fault: { service: 'orders', failShare: 0.02 } });
      const faulty = tailSampled(same, 25, 14, seed);
      expect(rankRootCauses({ normal, faulty }).verdict, `seed ${seed}`).toBe('none');
      expect(rankRootCauses({ normal: faulty, faulty: normal }).verdict, `seed ${seed}`).toBe('none');
    }
  }, 60_000);

  it('say the shares of all requests, not of those that were kept', () => {
    const normal = tailSampled(simulatedShop({ seed: 1, requests: 8_000 }), 25, 40, 1);
    const broken = simulatedShop({ seed: 501, requests: 8_000, fault: { service: 'orders', failShare: 0.1 } });
    const [candidate] = rankRootCauses({ normal, faulty: tailSampled(broken, 25, 40, 2) }).candidates;
    expect(candidate?.evidence[0]?.signal).toBe('errors');
    expect(candidate?.evidence[0]?.after).toBeGreaterThan(0.07);
    expect(candidate?.evidence[0]?.after).toBeLessThan(0.14);
  }, 60_000);
});
