export { nextRun, type Schedule, scheduleSchema } from './schedule.js';
export { type RunningSchedule, type ScheduledRun, type StartScheduleOptions, startSchedule } from './start-schedule.js';
