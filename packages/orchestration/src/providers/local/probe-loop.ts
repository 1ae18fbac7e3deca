import type { Clock, ProbeConfig, ServiceConfig } from '@mnops/core/spi';
import { type ProbeSubject, probe } from './probes.js';
import { unheldSleep } from './process-handle.js';

/** What the answers of an instance's probes mean for it. */
export interface ProbeEvents {
  ready(): void;
  unready(): void;
  /** It is not ready; why the last try failed. */
  waiting(message: string): void;
  /** It has to be restarted. */
  fatal(code: string, message: string): void;
}

export interface ProbeLoopOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly random: () => number;
}

const firstEveryMs = 15;
const quickGrowth = 1.25;
const runsMs = 500;

/** Asks an instance until the signal aborts: first startup, then readiness and liveness beside each other. */
export function watchProbes(
  config: ServiceConfig,
  subject: ProbeSubject,
  events: ProbeEvents,
  options: ProbeLoopOptions,
): void {
  const { startup, readiness, liveness } = config.containers[0]?.probes ?? {};
  const run = async (): Promise<void> => {
    if (startup !== undefined) {
      const failure = await untilStarted(startup, subject, options);
      if (failure !== undefined) {
        events.fatal('startup-probe', failure);
        return;
      }
    }
    const ready = readiness ?? ((config.ports ?? []).length > 0 ? ({ tcp: true } as const) : undefined);
    // What was never ready cannot have stopped answering: until then only the startup probe and the deployment's own time count.
    let asksLiveness = false;
    const told: ProbeEvents = {
      ...events,
      ready: () => {
        events.ready();
        if (liveness === undefined || asksLiveness) return;
        asksLiveness = true;
        watchLiveness(liveness, subject, events, options).catch(() => undefined);
      },
    };
    if (ready === undefined) await afterRunning(told, options);
    else await watchReadiness(ready, subject, told, options);
  };
  // The only rejection is the signal's: the instance has ended.
  run().catch(() => undefined);
}

/** Nothing can be asked: what has run for a moment did not fail at its start. */
async function afterRunning(events: ProbeEvents, { clock, signal }: ProbeLoopOptions): Promise<void> {
  await unheldSleep(clock, runsMs, signal);
  events.ready();
}

/** Quick at first, so that a service that is up is seen at once; then in the probe's own time. */
async function pause(config: ProbeConfig, tries: number, { clock, signal, random }: ProbeLoopOptions): Promise<void> {
  const everyMs = config.everyMs ?? 1_000;
  const quickMs = Math.min(everyMs, firstEveryMs * quickGrowth ** tries);
  await unheldSleep(clock, quickMs * (0.9 + 0.2 * random()), signal);
}

async function untilStarted(
  config: ProbeConfig,
  subject: ProbeSubject,
  options: ProbeLoopOptions,
): Promise<string | undefined> {
  const { everyMs = 1_000, failures = 3, initialDelayMs = 0 } = config;
  const { clock, signal } = options;
  await unheldSleep(clock, initialDelayMs, signal);
  const endsAt = clock.monotonic() + everyMs * failures;
  for (let tries = 0; ; tries += 1) {
    const failure = await probe(config, subject);
    signal.throwIfAborted();
    if (failure === undefined) return undefined;
    if (clock.monotonic() >= endsAt) return `It did not start in time: ${failure}`;
    await pause(config, tries, options);
  }
}

async function watchReadiness(
  config: ProbeConfig,
  subject: ProbeSubject,
  events: ProbeEvents,
  options: ProbeLoopOptions,
): Promise<void> {
  const { successes = 1, failures = 3, initialDelayMs = 0 } = config;
  await unheldSleep(options.clock, initialDelayMs, options.signal);
  let ready = false;
  let run = 0;
  for (let tries = 0; ; tries += 1) {
    const failure = await probe(config, subject);
    options.signal.throwIfAborted();
    if (failure !== undefined) events.waiting(failure);
    run = (failure === undefined) === ready ? 0 : run + 1;
    if (!ready && run >= successes) {
      ready = true;
      run = 0;
      events.ready();
      // A line stays written: there is nothing to ask again.
      if ('logLine' in config && config.logLine !== undefined) return;
    } else if (ready && run >= failures) {
      ready = false;
      run = 0;
      tries = 0;
      events.unready();
    }
    await pause(config, ready ? Number.POSITIVE_INFINITY : tries, options);
  }
}

async function watchLiveness(
  config: ProbeConfig,
  subject: ProbeSubject,
  events: ProbeEvents,
  options: ProbeLoopOptions,
): Promise<void> {
  const { failures = 3, initialDelayMs = 0 } = config;
  await unheldSleep(options.clock, initialDelayMs, options.signal);
  for (let run = 0; ; ) {
    await pause(config, Number.POSITIVE_INFINITY, options);
    const failure = await probe(config, subject);
    options.signal.throwIfAborted();
    run = failure === undefined ? 0 : run + 1;
    if (run < failures) continue;
    events.fatal('liveness-probe', `It stopped answering: ${failure}`);
    return;
  }
}
