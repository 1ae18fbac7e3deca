import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { nezhaCases } from '../../testing/public-root-cause/nezha-set.js';
import { petShopCases } from '../../testing/public-root-cause/petshop-set.js';
import { rankRootCauses } from './rank.js';

// Sanity bounds, far above chance and well below what the bench measures.

dataSuite({ describe, it }, 'nezha-trainticket', 'root cause on public traces', (folder) => {
  it('names the service of most faults first, from traces alone and with metrics and lines', () => {
    const ranks = { traces: [] as number[], all: [] as number[] };
    for (const { calm, around, atMs, cause, logs, metrics } of nezhaCases(folder)) {
      const at = new Date(atMs);
      const faulty = around.filter((span) => Number(span.startTimeUnixNano) / 1e6 >= atMs);
      const before = around.filter((span) => Number(span.startTimeUnixNano) / 1e6 < atMs);
      const normal = [...calm, ...before];
      const rankOf = (more: { logs?: typeof logs; metrics?: typeof metrics }): number =>
        rankRootCauses({ normal, faulty, at, ...more }).candidates.findIndex(({ service }) => service === cause);
      ranks.traces.push(rankOf({}));
      ranks.all.push(rankOf({ logs, metrics }));
    }
    for (const some of [ranks.traces, ranks.all]) {
      expect(some.length).toBeGreaterThanOrEqual(17);
      expect(some.filter((rank) => rank === 0).length / some.length).toBeGreaterThan(0.6);
    }
  }, 120_000);
});

dataSuite({ describe, it }, 'petshop', 'root cause on public metrics', (folder) => {
  it('names the service of most issues first, from metrics and who calls whom', () => {
    const ranks = petShopCases(folder).map(({ metrics, calls, entry, atMs, cause }) =>
      rankRootCauses({ metrics, calls, entry, at: new Date(atMs) }).candidates.findIndex(
        ({ service }) => service === cause,
      ),
    );
    expect(ranks.length).toBeGreaterThanOrEqual(16);
    expect(ranks.filter((rank) => rank === 0).length / ranks.length).toBeGreaterThan(0.6);
  }, 60_000);
});
