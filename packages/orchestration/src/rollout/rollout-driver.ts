import { coreError } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type {
  Call,
  Clock,
  FailureReason,
  MetricSource,
  OrchestrationProvider,
  RevisionObservation,
  RouteShares,
  ServiceConfig,
  ServiceObservation,
} from '@mnops/core/spi';
import { AnalysisRun, type AnalysisVerdict } from '../analysis/analysis-run.js';
import type { Measurement, RolloutStep, StepResult } from '../deployment.js';
import { type CapacityRules, nextCapacityStep } from './capacity.js';
import { configOf, type RolloutRecord, type ServiceRecord } from './record.js';
import { instancesOf } from './strategies.js';

/** What a driver needs from the host. */
export interface RolloutContext {
  readonly provider: OrchestrationProvider;
  readonly clock: Clock;
  readonly sources: Readonly<Record<string, MetricSource>>;
  /** Keeps the record before the driver acts on it. */
  save(record: ServiceRecord): Promise<void>;
  /** Resolves at the next change of the service, at the latest after `ms`. */
  changed(service: string, ms: number, signal: AbortSignal): Promise<void>;
  stepEnded(service: string, step: StepResult): void;
  shifted(service: string, shares: RouteShares): void;
}

/** How a driver's run ended. */
export type DriverOutcome = 'succeeded' | 'paused' | 'went-back' | 'kept';

const failed: unique symbol = Symbol('rollout failed');

interface Failure {
  readonly [failed]: true;
  readonly reasons: readonly FailureReason[];
}

const lookAgainMs = 250;
const reasonLines = 20;

/** Takes one rollout of one service forward, or back. Every act can be repeated, so another process can go on after a crash. */
export class RolloutDriver {
  readonly steps: StepResult[] = [];
  readonly #context: RolloutContext;
  readonly #call: Call;
  #record: ServiceRecord;
  #analysis: AnalysisRun | undefined;
  /** Set by `pause()`: stop before the next step. */
  pauseAsked = false;

  constructor(context: RolloutContext, record: ServiceRecord, call: Call) {
    this.#context = context;
    this.#record = record;
    this.#call = call;
  }

  get record(): ServiceRecord {
    return this.#record;
  }

  get measurements(): readonly Measurement[] {
    return this.#analysis?.measurements ?? [];
  }

  async run(): Promise<DriverOutcome> {
    if (this.#rollout.phase === 'forward') {
      try {
        if ((await this.#forward()) === 'paused') return 'paused';
        await this.#finish();
        return 'succeeded';
      } catch (error) {
        if (!isFailure(error)) throw error;
        if (this.#rollout.deployment.onFailure === 'keep') {
          await this.#keep(error.reasons);
          return 'kept';
        }
        await this.#update({ phase: 'back', reasons: error.reasons });
      }
    }
    await this.#back();
    return 'went-back';
  }

  get #rollout(): RolloutRecord {
    const { rollout } = this.#record;
    if (rollout !== undefined) return rollout;
    throw coreError('MNOPS_CORE_CONFLICT', `The rollout of ${this.#record.service} is over.`);
  }

  async #update(change: Partial<RolloutRecord>): Promise<void> {
    await this.#save({ ...this.#record, rollout: { ...this.#rollout, ...change } });
  }

  async #save(record: ServiceRecord): Promise<void> {
    this.#call.signal.throwIfAborted();
    await this.#context.save(record);
    this.#record = record;
  }

  async #forward(): Promise<'done' | 'paused'> {
    const { deployment, from, to } = this.#rollout;
    const strategy = deployment.strategy ?? { type: 'rolling' };
    const { replicas } = this.#record;
    if (strategy.type === 'recreate') {
      await this.#step('recreate', () => this.#recreate());
      return 'done';
    }
    if (strategy.type === 'canary' && from !== undefined && from !== to && replicas > 0) {
      if ((await this.#canary(strategy.steps)) === 'paused') return 'paused';
      // Every new instance first, then the requests, then the old ones go.
      await this.#step('promote', () => this.#promote());
      return 'done';
    }
    const { maxSurge = '25%', maxUnavailable = 0 } = strategy.type === 'rolling' ? strategy : {};
    const surge = instancesOf(maxSurge, replicas, 'up');
    const unavailable = instancesOf(maxUnavailable, replicas, 'down');
    const rules = { maxSurge: surge + unavailable === 0 ? 1 : surge, maxUnavailable: unavailable };
    await this.#step('rolling', async () => {
      await this.#shiftToAll();
      await this.#converge(to, { ...rules, replicas });
    });
    return 'done';
  }

  async #recreate(): Promise<void> {
    const { to } = this.#rollout;
    const { replicas, service } = this.#record;
    await this.#route({ by: 'instance', revisions: [to] }, true);
    const others = (await this.#observe()).revisions.filter(({ revision }) => revision !== to);
    for (const { revision } of others) await this.#setReplicas(revision, 0);
    await this.#until((observation) =>
      observation.revisions.every(({ revision, instances }) => revision === to || instances.length === 0),
    );
    await this.#converge(to, { replicas, maxSurge: replicas, maxUnavailable: replicas });
    await this.#route({ by: 'instance', revisions: [to] }, this.#record.hold === true);
    this.#context.stepEnded(service, {
      step: 'release',
      startedAt: new Date(this.#context.clock.now()),
      durationMs: 0,
    });
  }

  async #canary(steps: readonly RolloutStep[]): Promise<'done' | 'paused'> {
    const { from, to } = this.#rollout;
    for (const { revision } of (await this.#observe()).revisions) {
      if (revision !== from && revision !== to) await this.#setReplicas(revision, 0);
    }
    // The stable side must be whole before anything is taken from it.
    await this.#ready(from!, this.#record.replicas);
    for (let index = this.#rollout.step; index < steps.length && this.#rollout.full !== true; index += 1) {
      if (this.pauseAsked) return await this.#pause('user', 'Paused by pause().');
      await this.#update({ step: index });
      const step = steps[index]!;
      if ('setWeight' in step) await this.#step(`set-weight ${step.setWeight}`, () => this.#weight(step.setWeight));
      else if ((await this.#pauseStep(step.pause.durationMs, index)) === 'paused') return 'paused';
    }
    return 'done';
  }

  async #weight(weight: number): Promise<void> {
    const { from, to } = this.#rollout;
    const { replicas } = this.#record;
    const instances = Math.max(1, Math.ceil((replicas * weight) / 100));
    await this.#setReplicas(to, weight === 0 ? 0 : instances);
    if (weight > 0) await this.#ready(to, instances);
    await this.#route({ by: 'weight', weights: { [from!]: 100 - weight, [to]: weight } }, false);
    const { strategy } = this.#rollout.deployment;
    const analysis = strategy?.type === 'canary' ? strategy.analysis : undefined;
    if (analysis === undefined || analysis === 'none' || weight === 0 || this.#analysis !== undefined) return;
    this.#analysis = new AnalysisRun(analysis, {
      comparison: { service: this.#record.service, canary: to, stable: from! },
      sources: this.#context.sources,
      clock: this.#context.clock,
    });
  }

  async #pauseStep(durationMs: number | undefined, index: number): Promise<'done' | 'paused'> {
    const { clock } = this.#context;
    const { service } = this.#record;
    const startedMs = clock.monotonic();
    const startedAt = new Date(clock.now());
    this.#analysis?.beginStep();
    const endsAt = durationMs === undefined ? startedMs : startedMs + durationMs;
    for (;;) {
      await this.#checkCanary();
      const verdict = await this.#measured(() => this.#analysis?.tick(this.#call));
      if (verdict === 'inconclusive') return await this.#pause('inconclusive', this.#messages);
      const now = clock.monotonic();
      if (now >= endsAt) break;
      if (this.pauseAsked) return await this.#pause('user', 'Paused by pause().');
      const waitMs = Math.min(endsAt - now, Math.max(1, (this.#analysis?.nextMs ?? endsAt) - now), lookAgainMs);
      await this.#context.changed(service, waitMs, this.#call.signal);
    }
    if (durationMs !== undefined && (await this.#judgedStep(startedMs)) === 'paused') return 'paused';
    const step = `pause ${durationMs ?? 'until promote'}`;
    this.#ended({ step, startedAt, durationMs: clock.monotonic() - startedMs });
    if (durationMs !== undefined) return 'done';
    await this.#update({ step: index + 1 });
    return await this.#pause('step', 'Waits for promote().');
  }

  /** The end of a timed step: it passes once everything was judged, and waits some time for enough to judge by. */
  async #judgedStep(startedMs: number): Promise<'judged' | 'paused'> {
    const { clock } = this.#context;
    const { strategy } = this.#rollout.deployment;
    const analysis = strategy?.type === 'canary' && strategy.analysis !== 'none' ? strategy.analysis : undefined;
    const endsAt = clock.monotonic() + (analysis?.waitForDataMs ?? 0);
    for (;;) {
      const verdict = await this.#measured(() => this.#analysis?.endStep(this.#call, clock.monotonic() - startedMs));
      if (verdict === 'running') return 'judged';
      const leftMs = endsAt - clock.monotonic();
      if (verdict === 'inconclusive' || leftMs <= 0) return await this.#pause('inconclusive', this.#messages);
      if (this.pauseAsked) return await this.#pause('user', 'Paused by pause().');
      await this.#checkCanary();
      await this.#context.changed(this.#record.service, Math.min(leftMs, lookAgainMs), this.#call.signal);
    }
  }

  #messages = '';

  async #measured(run: () => Promise<AnalysisVerdict> | undefined): Promise<AnalysisVerdict['phase']> {
    const { service } = this.#record;
    const { to } = this.#rollout;
    const verdict = await run();
    if (verdict === undefined) return 'running';
    this.#messages = verdict.messages.join(' ');
    if (verdict.phase !== 'failure') return verdict.phase;
    throw failure([
      {
        service,
        revision: to,
        code: 'analysis-failed',
        message: this.#messages,
        lastLogLines: await this.#logLines(to),
        seenMs: this.#context.clock.now(),
      },
    ]);
  }

  async #pause(by: 'step' | 'inconclusive' | 'user', message: string): Promise<'paused'> {
    this.pauseAsked = false;
    await this.#update({ paused: { by, message } });
    return 'paused';
  }

  /** A canary that crashes needs no analysis. */
  async #checkCanary(): Promise<void> {
    const { to } = this.#rollout;
    const reasons = (await this.#observe()).revisions.find(({ revision }) => revision === to)?.reasons ?? [];
    if (reasons.length > 0) throw failure(reasons);
  }

  async #promote(): Promise<void> {
    const { to } = this.#rollout;
    const { replicas } = this.#record;
    await this.#setReplicas(to, replicas);
    await this.#ready(to, replicas);
    await this.#route({ by: 'instance', revisions: [to] }, this.#record.hold === true);
    await this.#converge(to, { replicas, maxSurge: replicas, maxUnavailable: 0 });
  }

  async #finish(): Promise<void> {
    const { to } = this.#rollout;
    await this.#route({ by: 'instance', revisions: [to] }, this.#record.hold === true);
    const { rollout: _, failure: __, ...record } = this.#record;
    const servedMs = this.#context.clock.now();
    const revisions = record.revisions.map((one) => (one.revision === to ? { ...one, servedMs } : one));
    await this.#save({ ...record, stable: to, revisions });
  }

  async #keep(reasons: readonly FailureReason[]): Promise<void> {
    const { to } = this.#rollout;
    const { rollout: _, ...record } = this.#record;
    await this.#save({ ...record, failure: { revision: to, reasons, atMs: this.#context.clock.now() } });
  }

  async #back(): Promise<void> {
    const { from, to, reasons, aborted } = this.#rollout;
    const { replicas } = this.#record;
    const reason = aborted === true ? 'aborted' : (reasons[0]?.code ?? 'failed');
    const back = async (): Promise<void> => {
      if (from === undefined || from === to) {
        await this.#setReplicas(to, from === undefined ? 0 : replicas);
        if (from === undefined) await this.#until(({ revisions }) => revisions.length === 0);
      } else {
        await this.#backTo(from, replicas);
      }
    };
    await this.#step('roll-back', back, { revision: from ?? '', reason });
    const { rollout: _, ...record } = this.#record;
    await this.#save({ ...record, failure: { revision: to, reasons, atMs: this.#context.clock.now() } });
  }

  async #backTo(from: string, replicas: number): Promise<void> {
    const observation = await this.#observe();
    const stable = observation.revisions.find(({ revision }) => revision === from);
    const whole = (stable?.ready ?? 0) >= replicas && replicas > 0;
    // In one write: from the next request on, nothing goes to the new revision any more.
    if (whole || (stable?.ready ?? 0) > 0) await this.#route({ by: 'instance', revisions: [from] }, true);
    else await this.#route({ by: 'instance', revisions: [from, this.#rollout.to] }, true);
    const { strategy } = this.#rollout.deployment;
    if (strategy?.type === 'recreate') {
      await this.#setReplicas(this.#rollout.to, 0);
      await this.#until(({ revisions }) =>
        revisions.every(({ revision, instances }) => revision === from || instances.length === 0),
      );
    }
    await this.#setReplicas(from, replicas);
    await this.#converge(from, { replicas, maxSurge: replicas, maxUnavailable: 0 }, false);
    await this.#route({ by: 'instance', revisions: [from] }, this.#record.hold === true);
  }

  /** Replaces all other revisions by one. `strict`: its failures and a missed deadline end the rollout. */
  async #converge(to: string, rules: Omit<CapacityRules, 'minReadyMs'>, strict = true): Promise<void> {
    const { minReadyMs = 0 } = this.#rollout.deployment;
    const { clock } = this.#context;
    const watch = this.#deadline(to, strict);
    for (;;) {
      const observation = await this.#observe();
      const step = nextCapacityStep(observation, to, { ...rules, minReadyMs }, clock.now());
      for (const [revision, replicas] of step.set) await this.#setReplicas(revision, replicas);
      if (step.done) return;
      await watch(observation);
      const waitMs = step.nextMs === undefined ? lookAgainMs : Math.max(1, step.nextMs - clock.now());
      await this.#context.changed(this.#record.service, Math.min(waitMs, lookAgainMs), this.#call.signal);
    }
  }

  async #ready(revision: string, count: number): Promise<void> {
    const { minReadyMs = 0 } = this.#rollout.deployment;
    const strict = revision === this.#rollout.to;
    const watch = this.#deadline(revision, strict);
    for (;;) {
      const observation = await this.#observe();
      const found = observation.revisions.find((one) => one.revision === revision);
      const now = this.#context.clock.now();
      const ready = (found?.instances ?? []).filter(
        ({ state, readySinceMs = now }) => state === 'ready' && now - readySinceMs >= minReadyMs,
      ).length;
      if (ready >= count) return;
      await watch(observation);
      await this.#context.changed(this.#record.service, Math.min(lookAgainMs, 1 + minReadyMs), this.#call.signal);
    }
  }

  /** A check that fails the rollout once a revision cannot become ready, or has made no progress for too long. */
  #deadline(to: string, strict: boolean): (observation: ServiceObservation) => Promise<void> {
    const { readyTimeoutMs = 300_000 } = this.#rollout.deployment;
    const { clock } = this.#context;
    let progress = -1;
    let sinceMs = clock.monotonic();
    return async (observation) => {
      const target = observation.revisions.find(({ revision }) => revision === to);
      if (strict && (target?.reasons.length ?? 0) > 0) throw failure(target!.reasons);
      const old = observation.revisions.reduce((sum, one) => sum + one.instances.length, 0);
      const seen = (target?.ready ?? 0) * 10_000 - old;
      if (seen !== progress) {
        progress = seen;
        sinceMs = clock.monotonic();
      }
      if (clock.monotonic() - sinceMs < readyTimeoutMs) return;
      throw failure(await this.#notReady(target, to, readyTimeoutMs));
    };
  }

  async #notReady(
    target: RevisionObservation | undefined,
    to: string,
    readyTimeoutMs: number,
  ): Promise<FailureReason[]> {
    const { service } = this.#record;
    const late = target?.instances.filter(({ state }) => state !== 'ready') ?? [];
    const reasons: FailureReason[] = [];
    for (const { instance, restarts, message } of late) {
      reasons.push({
        service,
        instance,
        revision: to,
        code: 'not-ready',
        message: `It did not become ready within ${readyTimeoutMs} ms. ${message ?? ''}`.trim(),
        restarts,
        lastLogLines: await this.#context.provider.lastLogLines(service, instance, reasonLines, this.#call),
        seenMs: this.#context.clock.now(),
      });
    }
    return reasons;
  }

  async #logLines(revision: string): Promise<readonly string[]> {
    const { service } = this.#record;
    const instance = (await this.#observe()).revisions.find((one) => one.revision === revision)?.instances[0]?.instance;
    if (instance === undefined) return [];
    return await this.#context.provider.lastLogLines(service, instance, reasonLines, this.#call);
  }

  async #until(met: (observation: ServiceObservation) => boolean): Promise<void> {
    while (!met(await this.#observe())) {
      await this.#context.changed(this.#record.service, lookAgainMs, this.#call.signal);
    }
  }

  async #shiftToAll(): Promise<void> {
    const { from, to } = this.#rollout;
    const present = (await this.#observe()).revisions.map(({ revision }) => revision);
    const revisions = [...new Set([to, ...(from === undefined ? [] : [from]), ...present])];
    await this.#route({ by: 'instance', revisions }, from === undefined ? this.#record.hold === true : true);
  }

  async #route(shares: RouteShares, hold: boolean): Promise<void> {
    const { service } = this.#record;
    this.#call.signal.throwIfAborted();
    const weight = shares.by === 'weight' ? (shares.weights[this.#rollout.to] ?? 0) : 100;
    await traced('mnops:orchestration:shift', { service, revision: this.#rollout.to, weight }, () =>
      this.#context.provider.router.apply(service, { shares, hold }, this.#call),
    );
    this.#context.shifted(service, shares);
  }

  async #setReplicas(revision: string, replicas: number): Promise<void> {
    this.#call.signal.throwIfAborted();
    const { service } = this.#record;
    const config: ServiceConfig = configOf(this.#record, revision) ?? { name: service, containers: [] };
    await this.#context.provider.setReplicas({ service, revision, config }, replicas, this.#call);
  }

  async #observe(): Promise<ServiceObservation> {
    this.#call.signal.throwIfAborted();
    return await this.#context.provider.observe(this.#record.service, this.#call);
  }

  async #step(
    step: string,
    run: () => Promise<void>,
    facts: { readonly revision?: string; readonly reason?: string } = {},
  ): Promise<void> {
    const { clock } = this.#context;
    const startedAt = new Date(clock.now());
    const startedMs = clock.monotonic();
    const { service } = this.#record;
    await traced('mnops:orchestration:step', { service, revision: this.#rollout.to, step, ...facts }, run);
    this.#ended({ step, startedAt, durationMs: clock.monotonic() - startedMs });
  }

  #ended(step: StepResult): void {
    this.steps.push(step);
    this.#context.stepEnded(this.#record.service, step);
  }
}

function failure(reasons: readonly FailureReason[]): Failure & Error {
  return Object.assign(new Error('The rollout failed.'), { [failed]: true as const, reasons });
}

function isFailure(error: unknown): error is Failure {
  return typeof error === 'object' && error !== null && failed in error;
}
