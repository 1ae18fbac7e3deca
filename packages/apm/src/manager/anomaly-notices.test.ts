import type { Notifier } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import { expect, it } from 'vitest';
import type { PerformanceAnomaly } from '../analysis/anomaly.js';
import { AnomalyNotices } from './anomaly-notices.js';

const anomaly: PerformanceAnomaly = {
  id: 'one',
  service: 'shop',
  operation: 'GET /',
  kind: 'server',
  signal: 'duration',
  statistic: 'p50',
  detector: 'shift',
  openedAt: new Date(0),
  observed: 100,
  expected: { low: 1, value: 2, high: 3 },
  score: 1,
  severity: 'critical',
  traceIds: [],
};

const notifier = (id: string, send: Notifier['send']): Notifier => ({
  specVersion: 1,
  kind: 'notifier',
  id,
  capabilities: { resolved: true, threads: false, maxBytes: 1_000 },
  send,
});

it('holds a bounded number of notifications for a notifier that hangs, counts the others, and holds up no other', async () => {
  const clock = fakeClock();
  let [hanging, taken] = [0, 0];
  const hangs = notifier('hangs', async () => {
    hanging += 1;
    await new Promise(() => undefined);
  });
  const works = notifier('works', async () => {
    taken += 1;
  });
  const notices = new AnomalyNotices([hangs, works], clock, undefined, () => undefined);
  for (let round = 0; round < 5; round += 1) {
    for (let count = 0; count < 100; count += 1) notices.announce(anomaly);
    await expect.poll(() => taken).toBe((round + 1) * 100);
    await expect.poll(() => notices.stats.sent).toBe((round + 1) * 100);
  }
  expect(hanging).toBe(100);
  expect(notices.stats).toEqual({ sent: 500, failed: 0, dropped: 400 });
  await clock.advance(10_000);
  await notices.settled();
  expect(notices.stats).toEqual({ sent: 500, failed: 100, dropped: 400 });
  notices.announce(anomaly);
  await expect.poll(() => hanging).toBe(101);
});
