import { Cron } from 'croner';
import * as v from 'valibot';
import { configError } from '../config/parse-options.js';
import { durationMsSchema, textSchema } from '../config/schemas.js';

/**
 * When something runs: a name, an interval, or a cron pattern (five fields, or six with seconds first).
 *
 * `hourly` to `quarterly` run at the beginning of the hour, day, week (Monday), month and quarter in UTC; a pattern runs
 * in its `timeZone`, default `UTC`. Where clocks go forward, a time that does not exist runs at the end of the gap; where
 * they go back, a time that exists twice runs the first time, and a pattern that recurs within the hour in both.
 */
export type Schedule =
  | 'hourly'
  | 'daily'
  | 'weekly'
  | 'monthly'
  | 'quarterly'
  | { readonly everyMs: number }
  | { readonly cron: string; readonly timeZone?: string | undefined };

const named = {
  hourly: '0 * * * *',
  daily: '0 0 * * *',
  weekly: '0 0 * * 1',
  monthly: '0 0 1 * *',
  quarterly: '0 0 1 1,4,7,10 *',
} as const;

/** A `Schedule` in a host's own schema. Patterns and zones are checked by `nextRun` and `startSchedule`. */
export const scheduleSchema: v.GenericSchema<Schedule> = v.union([
  v.picklist(['hourly', 'daily', 'weekly', 'monthly', 'quarterly']),
  v.strictObject({ everyMs: v.pipe(durationMsSchema, v.minValue(1)) }),
  v.strictObject({ cron: textSchema, timeZone: v.optional(textSchema) }),
]);

/**
 * The first time after `afterMs` at which a schedule runs, in epoch milliseconds; `undefined` when it never does again,
 * such as on 30 February.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a pattern, zone or interval that is none.
 */
export function nextRun(schedule: Schedule, afterMs: number): number | undefined {
  return plan(schedule)(afterMs);
}

/** The schedule as a function from one time to the next run after it; checks the schedule. */
export function plan(schedule: Schedule): (afterMs: number) => number | undefined {
  if (typeof schedule === 'object' && 'everyMs' in schedule) {
    const { everyMs } = schedule;
    if (!Number.isFinite(everyMs) || everyMs < 1) throw invalid('everyMs', 'a number of at least 1', typeof everyMs);
    return (afterMs) => afterMs + everyMs;
  }
  const { cron, timeZone } = typeof schedule === 'string' ? { cron: named[schedule], timeZone: undefined } : schedule;
  const job = parse(cron, timeZone ?? 'UTC');
  return (afterMs) => job.nextRun(new Date(afterMs))?.getTime();
}

function parse(cron: string | undefined, timezone: string): Cron {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    throw invalid('timeZone', 'an IANA time zone such as Europe/Berlin', typeof timezone);
  }
  try {
    // A text with a date in it would be a job that runs once.
    if (typeof cron !== 'string' || !/^\S+(\s+\S+){4,5}$/.test(cron.trim())) throw new RangeError('not a pattern');
    return new Cron(cron.trim(), { timezone });
  } catch {
    throw invalid('cron', 'a cron pattern of five or six fields, such as `30 2 * * *`', typeof cron);
  }
}

function invalid(field: string, expected: string, received: string): Error {
  const remedy = `Set \`schedule.${field}\` to ${expected}.`;
  return configError('schedule', [{ field: `schedule.${field}`, expected, received, remedy }]);
}
