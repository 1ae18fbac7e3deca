import { systemClock } from '../clock.js';
import { coreError } from '../errors/core-error.js';
import type { Clock, Timer } from '../spi/base.js';
import { plan, type Schedule } from './schedule.js';

/** One run of a schedule. */
export interface ScheduledRun {
  /** When it was meant to run, epoch milliseconds. */
  readonly plannedMs: number;
  /** How many planned runs this one stands for: more than 1 after sleep or a run that took too long. */
  readonly covers: number;
  /** Aborts when the schedule is stopped. */
  readonly signal: AbortSignal;
}

/** What runs when. */
export interface StartScheduleOptions {
  readonly schedule: Schedule;
  /** The work. The next run is planned when it has ended, so two never overlap. */
  readonly run: (run: ScheduledRun) => Promise<void> | void;
  /** Called with what `run` threw; the schedule goes on. */
  readonly onError: (error: unknown) => void;
  readonly clock?: Clock | undefined;
  /** Each run is delayed by a random time below this, so that replicas do not act at once. Default 0. */
  readonly jitterMs?: number | undefined;
  /** When runs were missed: `true` makes one up for all of them, `false` waits for the next. Default true. */
  readonly catchUp?: boolean | undefined;
  /** When the last run before this start was, epoch milliseconds, so that missed ones are noticed. */
  readonly lastRunMs?: number | undefined;
  /** Source of jitter, 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** A schedule that runs in the background; it does not hold the process. */
export interface RunningSchedule {
  /** When it runs next, epoch milliseconds, jitter included; `undefined` while it runs, once stopped, or when it never runs again. */
  readonly nextAtMs: number | undefined;
  /** Nothing runs any more: a run under way is aborted and waited for. A second call waits for the same. */
  stop(): Promise<void>;
}

/** A clock that was moved is noticed within this time. */
const longestWaitMs = 60_000;
/** A run that is later than this counts as missed. */
const lateMs = 60_000;

/**
 * Runs work on a schedule until it is stopped.
 *
 * Intervals are counted by the monotonic clock from the end of one run to the begin of the next; calendar schedules by
 * the wall clock, also when it is moved: a time that was passed runs once, one that comes twice does not run twice.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a schedule that is none.
 */
export function startSchedule(options: StartScheduleOptions): RunningSchedule {
  const { run, onError, clock = systemClock(), jitterMs = 0, catchUp = true, random = Math.random } = options;
  const next = plan(options.schedule);
  const interval = typeof options.schedule === 'object' && 'everyMs' in options.schedule;
  const now = (): number => (interval ? clock.monotonic() : clock.now());
  const work = new AbortController();
  let timer: Timer | undefined;
  let planned: number | undefined;
  let at: number | undefined;
  let running: Promise<void> | undefined;

  function begin(): void {
    const { lastRunMs } = options;
    const due = lastRunMs === undefined ? undefined : next(lastRunMs);
    if (due === undefined) planAfter(now());
    else if (due > clock.now()) planAt(interval ? clock.monotonic() + due - clock.now() : due);
    else if (catchUp) planAt(interval ? clock.monotonic() : due);
    else planAfter(now());
  }

  function planAfter(time: number): void {
    planAt(next(time));
  }

  function planAt(time: number | undefined): void {
    planned = time;
    at = time === undefined ? undefined : time + (jitterMs > 0 ? random() * jitterMs : 0);
    arm();
  }

  function arm(): void {
    if (work.signal.aborted || at === undefined) return;
    const left = at - now();
    if (left > 0) timer = clock.setTimer(interval ? left : Math.min(left, longestWaitMs), arm);
    else if (!catchUp && planned !== undefined && now() - Math.max(at, planned) > lateMs) planAfter(now());
    else timer = clock.setTimer(0, start);
  }

  function start(): void {
    if (work.signal.aborted || planned === undefined) return;
    running = execute(planned).finally(() => {
      running = undefined;
      planAfter(now());
    });
  }

  async function execute(due: number): Promise<void> {
    const plannedMs = interval ? clock.now() - (now() - due) : due;
    const covers = interval ? 1 : countRuns(next, due, now());
    planned = undefined;
    at = undefined;
    try {
      await run({ plannedMs, covers, signal: work.signal });
    } catch (error) {
      if (!work.signal.aborted) onError(error);
    }
  }

  begin();
  return {
    get nextAtMs() {
      if (at === undefined || work.signal.aborted) return undefined;
      return interval ? clock.now() + at - clock.monotonic() : at;
    },
    stop: async () => {
      timer?.cancel();
      work.abort(coreError('MNOPS_CORE_ABORTED', 'The schedule was stopped.'));
      await running;
    },
  };
}

/** How many runs fall between two times, both included; counting stops at 1,000. */
function countRuns(next: (afterMs: number) => number | undefined, from: number, to: number): number {
  let count = 1;
  for (let time = next(from); time !== undefined && time <= to && count < 1_000; time = next(time)) count += 1;
  return count;
}
