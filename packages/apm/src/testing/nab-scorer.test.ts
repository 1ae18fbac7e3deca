import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { type NabSeries, readNab } from './nab-data.js';
import { type NabProfile, nabProfiles, nabScore, nabScoreAt, type ScoredSeries } from './nab-scorer.js';

const profiles: readonly NabProfile[] = Object.values(nabProfiles);

function scored(
  data: readonly NabSeries[],
  scoreOf: (values: Float64Array, row: number) => number,
): readonly ScoredSeries[] {
  return data.map(({ values, windows }) => ({ windows, scores: values.map((_, row) => scoreOf(values, row)) }));
}

function results(all: readonly ScoredSeries[]): readonly number[] {
  return profiles.map((profile) => Math.round(nabScore(all, profile).score * 100) / 100);
}

// The expected figures come from another implementation of the published rules, on 31 of the benchmark's files.
dataSuite({ describe, it }, 'nab', 'the scorer, on 31 public series', (folder) => {
  const data = readNab(folder);

  it('has the 31 series that the figures are of', () => expect(data).toHaveLength(31));

  it('reads every row and window', () => {
    expect(data.reduce((sum, { values }) => sum + values.length, 0)).toBe(179_391);
    expect(data.reduce((sum, { windows }) => sum + windows.length, 0)).toBe(57);
    expect(data.every(({ values }) => values.every(Number.isFinite))).toBe(true);
  });

  it('agrees about scores without meaning', () => {
    const all = scored(data, (_, row) => ((row * 7919) % 1000) / 1000);
    expect(results(all)).toEqual([20.83, 0, 36.69]);
    expect(profiles.map((profile) => nabScore(all, profile).threshold)).toEqual([0.997, 1.1, 0.997]);
  });

  it('agrees about the relative difference of neighbours', () => {
    const all = scored(data, (values, row) => {
      if (row === 0) return 0;
      const before = values[row - 1] as number;
      const distance = Math.abs((values[row] as number) - before) / (1 + Math.abs(before));
      return distance / (1 + distance);
    });
    expect(results(all)).toEqual([5.31, 1.66, 11.14]);
  });

  it('gives nothing for saying the same at every row', () => {
    const all = scored(data, () => 1);
    expect(profiles.map((profile) => nabScore(all, profile))).toEqual(
      profiles.map(() => ({ score: 0, threshold: 1.1 })),
    );
    expect(nabScoreAt(all, nabProfiles.standard, 0.5)).toBeLessThan(-1_000);
  });
});

describe('the scorer', () => {
  const windows = [[50, 69]] as const;
  const detecting = (...rows: readonly number[]): readonly ScoredSeries[] => [
    { windows, scores: Array.from({ length: 100 }, (_, row) => (rows.includes(row) ? 0.9 : 0)) },
  ];

  it('gives all for the first row of a window, less for a later one, and counts the best only', () => {
    const at = (...rows: readonly number[]): number => nabScoreAt(detecting(...rows), nabProfiles.standard, 0.5);
    expect(at(50)).toBeCloseTo(100, 10);
    expect(at(60)).toBeLessThan(at(52));
    expect(at(60, 52, 64)).toBe(at(52));
    expect(at(3)).toBe(0);
    expect(at(20)).toBeCloseTo(-5.5, 10);
    expect(at(50, 72)).toBeLessThan(100);
    expect(at(50, 72)).toBeGreaterThan(at(50, 99));
    expect(at()).toBe(0);
  });
});
