import { coreError, type MnopsError } from '@mnops/core';
import type { EventHub } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import type {
  Call,
  Clock,
  InstanceState,
  MetricSource,
  OrchestrationProvider,
  ServiceObservation,
} from '@mnops/core/spi';
import type { OrchestrationResult } from './deployment.js';
import type { OrchestrationEvents } from './events.js';
import { orchestrationError } from './orchestration-error.js';
import { configOf, type RolloutRecord, recordJson, type ServiceRecord } from './rollout/record.js';
import { type DriverOutcome, RolloutDriver } from './rollout/rollout-driver.js';
import { changesBetween } from './spec/revision.js';

/** What all services of a host share. */
export interface ServiceHostContext {
  readonly provider: OrchestrationProvider;
  readonly clock: Clock;
  readonly sources: Readonly<Record<string, MetricSource>>;
  readonly events: EventHub<OrchestrationEvents>;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
  secret(reference: string): Promise<string>;
}

const ended: ReadonlySet<InstanceState> = new Set(['backoff', 'crash-loop', 'failed']);

interface Running {
  readonly driver: RolloutDriver;
  readonly controller: AbortController;
  readonly done: Promise<OrchestrationResult>;
}

/** One service of a host: its record, and the rollout that runs. */
export class ServiceHost {
  readonly #context: ServiceHostContext;
  #record: ServiceRecord;
  #running: Running | undefined;
  readonly #waiters: Set<() => void> = new Set();
  #states: Map<string, InstanceState> = new Map();
  #watching: Promise<void> | undefined;

  constructor(context: ServiceHostContext, record: ServiceRecord) {
    this.#context = context;
    this.#record = record;
  }

  get record(): ServiceRecord {
    return this.#record;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves once no rollout runs; a paused one does not. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running.done.catch(() => undefined);
  }

  async save(record: ServiceRecord): Promise<void> {
    await this.#context.provider.writeRecord(record.service, recordJson(record), this.call());
    this.#record = record;
  }

  /** A call that lasts as long as the host, or the given signal. */
  call(signal: AbortSignal = this.#context.signal): Call {
    return {
      signal,
      remainingMs: () => Number.POSITIVE_INFINITY,
      secret: (reference) => this.#context.secret(reference),
    };
  }

  /** Something about the service changed. */
  changed(): void {
    for (const waiter of [...this.#waiters]) waiter();
    this.#watching ??= this.#noticeInstances().finally(() => {
      this.#watching = undefined;
    });
  }

  /** Ends what runs without going back, so that something else can take over. */
  async interrupt(why: string): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.controller.abort(coreError('MNOPS_CORE_ABORTED', why));
    await running.done.catch(() => undefined);
  }

  /** Stops before the next step. */
  async pause(): Promise<void> {
    if (this.#running === undefined) return;
    this.#running.driver.pauseAsked = true;
    this.changed();
    await this.#running.done.catch(() => undefined);
  }

  /** Begins a rollout, or goes on with the one in the record. Rejects when it ends in anything but success or a pause. */
  async drive(record: ServiceRecord): Promise<OrchestrationResult> {
    const { service, rollout } = record;
    if (rollout === undefined) throw coreError('MNOPS_CORE_CONFLICT', `There is no rollout of ${service}.`);
    const controller = new AbortController();
    const call = this.call(AbortSignal.any([controller.signal, this.#context.signal]));
    const driver = new RolloutDriver(
      {
        provider: this.#context.provider,
        clock: this.#context.clock,
        sources: this.#context.sources,
        save: (next) => this.save(next),
        changed: (_, ms, signal) => this.#nextChange(ms, signal),
        stepEnded: (name, step) => this.#context.events.emit('rollout:step-ended', { service: name, ...step }),
        shifted: (name, shares) => this.#context.events.emit('route:shifted', { service: name, shares }),
      },
      record,
      call,
    );
    const done = this.#run(driver, rollout);
    this.#running = { driver, controller, done };
    return await done;
  }

  async #run(driver: RolloutDriver, rollout: RolloutRecord): Promise<OrchestrationResult> {
    const { service } = driver.record;
    const { clock, events } = this.#context;
    const startedMs = clock.monotonic();
    const strategy = rollout.deployment.strategy?.type ?? 'rolling';
    const { id: rolloutId, operation, from: fromRevision, to: toRevision } = rollout;
    let result: OrchestrationResult;
    try {
      await this.save(driver.record);
      events.emit('rollout:started', { service, rolloutId, operation, fromRevision, toRevision });
      result = await traced(
        'mnops:orchestration:rollout',
        { service, revision: rollout.to, operation, strategy },
        async (context) => {
          const outcome = await driver.run();
          const made = await this.#result(driver, rollout, stateOf(outcome, driver, rollout), startedMs);
          context['outcome'] = made.state;
          return made;
        },
      );
    } catch (error) {
      this.#running = undefined;
      if (!isAbort(error)) {
        this.#context.events.emit('rollout:ended', {
          service,
          result: await this.#result(driver, rollout, 'failed', startedMs),
        });
        throw error;
      }
      result = await this.#result(driver, rollout, 'aborted', startedMs);
    }
    this.#running = undefined;
    if (result.state === 'paused') {
      const message = driver.record.rollout?.paused?.message ?? '';
      events.emit('rollout:paused', { service, rolloutId: rollout.id, message });
    } else {
      events.emit('rollout:ended', { service, result });
    }
    if (result.state === 'succeeded' || result.state === 'paused') return result;
    throw resultError(service, result);
  }

  async #result(
    driver: RolloutDriver,
    rollout: RolloutRecord,
    state: OrchestrationResult['state'],
    startedMs: number,
  ): Promise<OrchestrationResult> {
    const { clock, provider } = this.#context;
    const { record } = driver;
    const { id, operation, from, to } = rollout;
    const config = configOf(record, to);
    const before = from === undefined ? undefined : configOf(record, from);
    const observation = await provider.observe(record.service, this.call()).catch(() => undefined);
    return {
      rolloutId: id,
      operation,
      target: provider.id,
      state,
      startedAt: new Date(rollout.startedMs),
      durationMs: clock.monotonic() - startedMs,
      services: [
        {
          name: record.service,
          fromRevision: from,
          toRevision: to,
          changes: config === undefined ? [] : changesBetween(before, config),
          steps: driver.steps,
          analysis: driver.measurements,
          instances: observation?.revisions.flatMap(({ instances }) => instances) ?? [],
        },
      ],
      reasons: record.rollout?.reasons ?? (state === 'succeeded' ? [] : (record.failure?.reasons ?? [])),
    };
  }

  #nextChange(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const end = (): void => {
        timer.cancel();
        this.#waiters.delete(changed);
        signal.removeEventListener('abort', aborted);
      };
      const changed = (): void => {
        end();
        resolve();
      };
      const aborted = (): void => {
        end();
        reject(signal.reason);
      };
      const timer = clock.setTimer(ms, changed, { hold: true });
      this.#waiters.add(changed);
      signal.addEventListener('abort', aborted, { once: true });
    });
  }

  async #noticeInstances(): Promise<void> {
    const { provider, events } = this.#context;
    const { service } = this.#record;
    let observation: ServiceObservation;
    try {
      observation = await provider.observe(service, this.call());
    } catch {
      return;
    }
    const seen = new Map<string, InstanceState>();
    for (const { revision, instances } of observation.revisions) {
      for (const { instance, restarts, state, message = 'It ended.' } of instances) {
        const before = this.#states.get(instance);
        if (ended.has(state) && (before === undefined || !ended.has(before))) {
          events.emit('instance:crashed', { service, instance, revision, restarts, message });
        }
        if (state === 'ready' && before !== 'ready')
          events.emit('instance:became-ready', { service, instance, revision });
        seen.set(instance, state);
      }
    }
    this.#states = seen;
  }
}

function stateOf(outcome: DriverOutcome, driver: RolloutDriver, rollout: RolloutRecord): OrchestrationResult['state'] {
  if (outcome === 'succeeded' || outcome === 'paused') return outcome;
  if (rollout.aborted === true) return 'aborted';
  return outcome === 'went-back' && driver.record.stable !== undefined && rollout.from !== undefined
    ? 'rolled-back'
    : 'failed';
}

function isAbort(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'MNOPS_CORE_ABORTED';
}

/** The error of a rollout that did not succeed; the result is in `details.result`. */
function resultError(service: string, result: OrchestrationResult): MnopsError {
  const why = result.reasons.map(({ message }) => message).join(' ');
  const details = { service, result };
  if (result.state === 'aborted') {
    return orchestrationError('MNOPS_ORCHESTRATION_ABORTED', `The rollout of ${service} was aborted.`, { details });
  }
  if (result.state === 'rolled-back') {
    const message = `Service ${service} was rolled back. ${why}`.trim();
    return orchestrationError('MNOPS_ORCHESTRATION_ROLLED_BACK', message, { details });
  }
  const message = `Service ${service} did not become ready. ${why}`.trim();
  return orchestrationError('MNOPS_ORCHESTRATION_NOT_READY', message, { details });
}
