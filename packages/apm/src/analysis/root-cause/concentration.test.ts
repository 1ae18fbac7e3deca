import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { simulatedShop } from '../../testing/simulated-shop.js';
import { spanOf } from '../../testing/spans.js';
import { type RootCauseCandidate, rankRootCauses } from './rank.js';

const seeds = [1, 2, 3, 4, 5];
const slow = { service: 'catalog', version: '2', addMs: 60 } as const;

function first(normal: Iterable<Span>, faulty: Iterable<Span>): RootCauseCandidate | undefined {
  return rankRootCauses({ normal, faulty }).candidates[0];
}

describe('the version that bears the trouble', () => {
  it('is named when it has nearly all of the requests', () => {
    for (const seed of seeds) {
      for (const canaryShare of [0.6, 0.75, 0.85, 0.95]) {
        const now = simulatedShop({ seed: seed + 500, requests: 300, canaryShare, fault: slow });
        expect(first(simulatedShop({ seed, requests: 600 }), now), `seed ${seed}, ${canaryShare}`).toMatchObject({
          service: 'catalog',
          version: '2',
        });
      }
    }
  });

  it('is named when it replaced the old one and was there before the time given already', () => {
    for (const seed of seeds) {
      const begun = simulatedShop({ seed: seed + 900, requests: 100, canaryShare: 0.6, fault: slow });
      const normal = [...simulatedShop({ seed, requests: 600 }), ...begun];
      const now = simulatedShop({ seed: seed + 500, requests: 300, canaryShare: 1, fault: slow });
      expect(first(normal, now), `seed ${seed}`).toMatchObject({ service: 'catalog', version: '2' });
    }
  });

  it('is named when the machine is busy and the other version is slower too', () => {
    for (const seed of seeds) {
      // Requests to version 1 of a busy machine, and to version 2 that is slow besides.
      const busy = simulatedShop({ seed: seed + 500, requests: 225, fault: { service: 'catalog', addMs: 25 } });
      const both = simulatedShop({ seed: seed + 700, requests: 75, canaryShare: 1, fault: { ...slow, addMs: 110 } });
      expect(first(simulatedShop({ seed, requests: 600 }), [...busy, ...both]), `seed ${seed}`).toMatchObject({
        service: 'catalog',
        version: '2',
      });
    }
  });

  it('is named when it only calls what the old one did not call', () => {
    for (const seed of seeds) {
      const now = simulatedShop({ seed: seed + 500, requests: 400, canaryShare: 0.25 });
      const extra = now
        .filter(({ kind, resource }) => kind === 'server' && resource['service.version'] === '2')
        .map((span, index) => ({
          ...spanOf({ id: `f${index}`, service: 'catalog', version: '2', instance: 'c1', name: 'check stock' }),
          traceId: span.traceId,
          parentSpanId: span.spanId,
          startTimeUnixNano: span.startTimeUnixNano,
          durationNano: 10_000n,
        }));
      const candidate = first(simulatedShop({ seed, requests: 600 }), [...now, ...extra]);
      expect(candidate, `seed ${seed}`).toMatchObject({ service: 'catalog', version: '2' });
      expect(candidate?.evidence[0]).toMatchObject({ signal: 'structure', before: 0 });
    }
  });

  it('is nobody when both versions are as slow, or fail as often', () => {
    for (const seed of seeds) {
      for (const fault of [
        { service: 'catalog', addMs: 60 },
        { service: 'catalog', failShare: 0.2 },
      ] as const) {
        for (const canaryShare of [0.1, 0.5, 0.93]) {
          const now = simulatedShop({ seed: seed + 500, requests: 300, canaryShare, fault });
          const candidate = first(simulatedShop({ seed, requests: 600 }), now);
          expect(candidate?.service).toBe('catalog');
          expect(candidate?.version, `seed ${seed}, ${canaryShare}`).toBeUndefined();
        }
      }
    }
  });

  it('is named where each version takes the same time for every request', () => {
    const of = (version: string, durationMs: number, count: number, id: string): Span[] =>
      Array.from({ length: count }, (_, i) => ({
        ...spanOf({ id: `${id}${i}`, service: 'catalog', version, name: 'get' }),
        traceId: `${id}${i}`.padStart(32, '0'),
        kind: 'server' as const,
        parentSpanId: undefined,
        durationNano: BigInt(durationMs * 1e6),
      }));
    // Logarithms of 0 and of powers of two, and few of them, so that no rounding hides that they do not vary.
    for (const count of [16, 32]) {
      const now = [...of('1', 0.5, 60, 'b'), ...of('2', 127.5, count, 'c')];
      expect(first(of('1', 0.5, 120, 'a'), now)).toMatchObject({ service: 'catalog', version: '2' });
    }
  });
});
