import assert from 'node:assert/strict';

// #region schedule
import { nextRun, startSchedule } from '@mnops/core/schedule';
import { fakeClock } from '@mnops/core/testing';

const nightly = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
const evening = Date.parse('2026-03-28T20:00:00Z');
// That night the clocks jump from 2:00 to 3:00.
assert.equal(new Date(nextRun(nightly, evening) ?? 0).toISOString(), '2026-03-29T01:00:00.000Z');

const clock = fakeClock({ nowMs: evening }); // a program leaves the clock out
let backups = 0;
const schedule = startSchedule({
  schedule: nightly,
  clock,
  run: async ({ signal }) => {
    signal.throwIfAborted();
    backups += 1;
  },
  onError: (error) => console.error(error),
});

await clock.advance(3 * 86_400_000);
assert.equal(backups, 3);
await schedule.stop();
// #endregion
