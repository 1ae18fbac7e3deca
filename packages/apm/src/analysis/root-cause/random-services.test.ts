import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { randomTraces, serviceCount } from '../../testing/random-services.js';
import { type RootCauseRanking, rankRootCauses } from './rank.js';

const atMs = 1_700_000_000_000;
const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

interface Fault {
  readonly addMs?: number;
  readonly failShare?: number;
}

/** A service at random, and what is said of it when it is at fault. */
function ranked(seed: number, fault: Fault | undefined, skewMs = 0): { service: string; ranking: RootCauseRanking } {
  const service = Math.floor(randomOf(seed + 77)() * serviceCount(seed));
  const common = { seed, skewMs };
  const normal = randomTraces({ ...common, requests: 200, startMs: atMs - 10_000, stretch: 1 });
  const bad = fault === undefined ? undefined : { service, ...fault };
  const faulty = randomTraces({ ...common, requests: 120, startMs: atMs, stretch: 2, fault: bad });
  return { service: `s${service}`, ranking: rankRootCauses({ normal, faulty }) };
}

function shareFound(fault: Fault, skewMs = 0): number {
  const hits = seeds.filter((seed) => {
    const { service, ranking } = ranked(seed, fault, skewMs);
    return ranking.candidates[0]?.service === service;
  });
  return hits.length / seeds.length;
}

describe('services that call each other at random', () => {
  it('have the one first that became slow', () => {
    expect(shareFound({ addMs: 40 })).toBeGreaterThanOrEqual(0.95);
  }, 60_000);

  it('have the one first that began to fail', () => {
    expect(shareFound({ failShare: 0.3 })).toBeGreaterThanOrEqual(0.95);
  }, 60_000);

  it('have the one first that became slow, though their clocks differ by seconds', () => {
    expect(shareFound({ addMs: 40 }, 5_000)).toBeGreaterThanOrEqual(0.95);
  }, 60_000);

  it('have no cause while all is well', () => {
    const none = [...seeds, ...seeds.map((seed) => seed + 100)].filter(
      (seed) => ranked(seed, undefined).ranking.verdict === 'none',
    );
    expect(none.length / (2 * seeds.length)).toBeGreaterThanOrEqual(0.95);
  }, 60_000);
});

describe('traces that cannot be', () => {
  const normal = randomTraces({ seed: 3, requests: 60, startMs: atMs - 60_000, stretch: 1 });
  const well = randomTraces({ seed: 3, requests: 60, startMs: atMs, stretch: 2 });
  const bent: Readonly<Record<string, (span: Span, index: number) => Span>> = {
    'negative durations': (span, index) => (index % 3 === 0 ? { ...span, durationNano: -5_000_000n } : span),
    'equal ids': (span) => ({ ...span, spanId: '1'.padStart(16, '0') }),
    'circles of parents': (span, index) => ({ ...span, parentSpanId: well[(index + 7) % well.length]?.spanId ?? '' }),
    'one trace': (span) => ({ ...span, traceId: 'a'.repeat(32) }),
    'times of nowhere': (span, index) => ({ ...span, startTimeUnixNano: index % 2 === 0 ? 0n : 2n ** 63n }),
    'counts of nonsense': (span, index) => ({
      ...span,
      attributes: { 'sampling.adjusted_count': [Number.NaN, -1, Number.POSITIVE_INFINITY, 0, 'many'][index % 5] ?? 0 },
    }),
  };
  for (const [what, bend] of Object.entries(bent)) {
    it(`are borne: ${what}`, () => {
      const odd = well.map(bend);
      for (const input of [
        { normal, faulty: odd },
        { normal: odd, faulty: well },
        { normal: odd, faulty: odd },
      ]) {
        for (const at of [undefined, new Date(atMs), new Date(Number.NaN)]) {
          const { candidates } = rankRootCauses({ ...input, at });
          for (const { score, evidence } of candidates) {
            expect(score).toBeGreaterThanOrEqual(0);
            expect(score).toBeLessThanOrEqual(1.000_001);
            for (const { before, after } of evidence)
              expect(Number.isFinite(before) && Number.isFinite(after)).toBe(true);
          }
        }
      }
    });
  }

  it('say none when nothing was recorded before, or nothing since', () => {
    for (const input of [{ faulty: well }, { normal }, {}, { normal: [], faulty: [] }]) {
      for (const at of [undefined, new Date(atMs)]) {
        expect(rankRootCauses({ ...input, at })).toMatchObject({ verdict: 'none', candidates: [] });
      }
    }
  });

  it('leave out lines and points without a time', () => {
    const logs = Array.from({ length: 50 }, (_, i) => ({
      service: 'a',
      atMs: i % 2 === 0 ? Number.NaN : atMs + i,
      message: 'ERROR at once',
    }));
    const points = logs.map(({ atMs: time }, i) => ({ atMs: time, value: i % 3 === 0 ? Number.NaN : i }));
    const metrics = [{ service: 'a', name: 'cpu', role: 'usage', points }] as const;
    const { candidates } = rankRootCauses({ normal, faulty: well, logs, metrics, at: new Date(atMs) });
    expect(candidates.every(({ score }) => Number.isFinite(score))).toBe(true);
  });
});
