import { parse } from 'valibot';
import { describe, expect, it } from 'vitest';
import { fakeClock } from '../testing/fake-clock.js';
import { nextRun, type Schedule, scheduleSchema } from './schedule.js';
import { type ScheduledRun, type StartScheduleOptions, startSchedule } from './start-schedule.js';

function runsAfter(schedule: Schedule, from: string, count: number): string[] {
  const found: string[] = [];
  let at: number | undefined = Date.parse(from);
  while (found.length < count) {
    at = nextRun(schedule, at);
    if (at === undefined) break;
    found.push(new Date(at).toISOString());
  }
  return found;
}

describe('nextRun', () => {
  it.each([
    ['hourly', '2026-05-05T10:00:00.000Z'],
    ['daily', '2026-05-06T00:00:00.000Z'],
    ['weekly', '2026-05-11T00:00:00.000Z'],
    ['monthly', '2026-06-01T00:00:00.000Z'],
    ['quarterly', '2026-07-01T00:00:00.000Z'],
  ] as const)('%s begins with its period, in UTC', (schedule, expected) => {
    expect(runsAfter(schedule, '2026-05-05T09:30:00Z', 1)).toEqual([expected]);
    expect(parse(scheduleSchema, schedule)).toBe(schedule);
  });

  it('runs a time that does not exist at the end of the gap', () => {
    const schedule = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    expect(runsAfter(schedule, '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    const newYork = { cron: '30 2 * * *', timeZone: 'America/New_York' };
    expect(runsAfter(newYork, '2026-03-07T12:00:00Z', 2)).toEqual([
      '2026-03-08T07:00:00.000Z',
      '2026-03-09T06:30:00.000Z',
    ]);
  });

  it('runs a time that exists twice once, but a recurring pattern in both hours', () => {
    const once = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    expect(runsAfter(once, '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
    const often = { cron: '*/30 * * * *', timeZone: 'Europe/Berlin' };
    expect(runsAfter(often, '2026-10-24T23:59:00Z', 5)).toEqual([
      '2026-10-25T00:00:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-25T01:00:00.000Z',
      '2026-10-25T01:30:00.000Z',
      '2026-10-25T02:00:00.000Z',
    ]);
  });

  it('knows seconds, leap days and dates that never come', () => {
    expect(runsAfter({ cron: '15 0 0 29 2 *' }, '2026-01-01T00:00:00Z', 1)).toEqual(['2028-02-29T00:00:15.000Z']);
    expect(nextRun({ cron: '0 0 30 2 *' }, 0)).toBeUndefined();
    expect(nextRun({ everyMs: 5 }, 100)).toBe(105);
  });

  it.each([
    [{ cron: '99 * * * *' }, 'schedule.cron'],
    [{ cron: 'soon' }, 'schedule.cron'],
    [{ cron: '2026-01-01T00:00:00' }, 'schedule.cron'],
    [{ cron: '* * * * *', timeZone: 'Mars/Phobos' }, 'schedule.timeZone'],
    [{ everyMs: 0 }, 'schedule.everyMs'],
    [{ everyMs: Number.NaN }, 'schedule.everyMs'],
  ])('refuses %j by field', (schedule, field) => {
    expect(() => nextRun(schedule, 0)).toThrow(
      expect.objectContaining({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [expect.objectContaining({ field })] },
      }),
    );
  });
});

describe('startSchedule', () => {
  const minute = 60_000;
  const hour = 60 * minute;
  const day = 24 * hour;

  function start(options: Partial<StartScheduleOptions> & Pick<StartScheduleOptions, 'schedule'>) {
    const clock = fakeClock({ nowMs: Date.parse('2026-05-05T09:30:00Z') });
    const runs: ScheduledRun[] = [];
    const errors: unknown[] = [];
    const schedule = startSchedule({
      clock,
      run: (run) => void runs.push(run),
      onError: (error) => errors.push(error),
      ...options,
    });
    return { clock, runs, errors, schedule };
  }

  it('runs again and again until it is stopped', async () => {
    const { clock, runs, schedule } = start({ schedule: 'hourly' });
    expect(schedule.nextAtMs).toBe(Date.parse('2026-05-05T10:00:00Z'));
    await clock.advance(3 * hour);
    expect(runs.map(({ plannedMs, covers }) => [new Date(plannedMs).getUTCHours(), covers])).toEqual([
      [10, 1],
      [11, 1],
      [12, 1],
    ]);
    await schedule.stop();
    await schedule.stop();
    expect([schedule.nextAtMs, clock.pending]).toEqual([undefined, 0]);
  });

  it('waits longer than a timer can', async () => {
    const { clock, runs, schedule } = start({ schedule: { everyMs: 40 * day } });
    await clock.advance(39 * day);
    expect(runs).toHaveLength(0);
    await clock.advance(day);
    expect(runs).toHaveLength(1);
    await schedule.stop();
  });

  it('makes up for missed runs once, after sleep and after a start', async () => {
    const { clock, runs, schedule } = start({ schedule: 'hourly' });
    clock.jumpWallClock(5 * hour);
    await clock.advance(minute);
    expect(runs.map(({ covers }) => covers)).toEqual([5]);
    await clock.advance(30 * minute);
    expect(runs).toHaveLength(2);
    await schedule.stop();
    const late = start({ schedule: 'daily', lastRunMs: Date.parse('2026-05-01T00:00:00Z') });
    await late.clock.advance(1);
    expect(late.runs.map(({ covers }) => covers)).toEqual([4]);
    await late.schedule.stop();
    const early = start({ schedule: { everyMs: hour }, lastRunMs: Date.parse('2026-05-05T09:00:00Z') });
    await early.clock.advance(29 * minute);
    expect(early.runs).toHaveLength(0);
    await early.clock.advance(minute);
    expect(early.runs).toHaveLength(1);
    await early.schedule.stop();
  });

  it('leaves missed runs out when told', async () => {
    const lastRunMs = Date.parse('2026-05-01T00:00:00Z');
    const { clock, runs, schedule } = start({ schedule: 'hourly', catchUp: false, lastRunMs });
    await clock.advance(minute);
    expect(runs).toHaveLength(0);
    clock.jumpWallClock(5 * hour);
    await clock.advance(minute);
    expect(runs).toHaveLength(0);
    await clock.advance(28 * minute);
    expect(runs).toHaveLength(1);
    await schedule.stop();
  });

  it('does not run twice when the clock is set back', async () => {
    const { clock, runs, schedule } = start({ schedule: 'hourly' });
    await clock.advance(31 * minute);
    clock.jumpWallClock(-10 * minute);
    await clock.advance(20 * minute);
    expect(runs).toHaveLength(1);
    await schedule.stop();
  });

  it('spreads runs by jitter', async () => {
    const { clock, runs, schedule } = start({ schedule: 'hourly', jitterMs: 10 * minute, random: () => 0.5 });
    expect(schedule.nextAtMs).toBe(Date.parse('2026-05-05T10:05:00Z'));
    await clock.advance(34 * minute);
    expect(runs).toHaveLength(0);
    await clock.advance(2 * minute);
    expect(runs).toMatchObject([{ plannedMs: Date.parse('2026-05-05T10:00:00Z') }]);
    await schedule.stop();
  });

  it('never overlaps, goes on after a failure, and aborts a run when it is stopped', async () => {
    let active = 0;
    let most = 0;
    const { clock, errors, schedule } = start({
      schedule: { everyMs: minute },
      run: async ({ signal }) => {
        active += 1;
        most = Math.max(most, active);
        try {
          await clockOf().sleep(5 * minute, signal);
          throw new Error('failed');
        } finally {
          active -= 1;
        }
      },
    });
    function clockOf() {
      return clock;
    }
    await clock.advance(14 * minute);
    expect([most, errors.length]).toEqual([1, 2]);
    expect(active).toBe(1);
    await schedule.stop();
    expect([active, errors.length]).toEqual([0, 2]);
  });
});
