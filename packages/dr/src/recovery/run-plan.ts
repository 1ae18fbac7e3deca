import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { MnopsError } from '@mnops/core';
import type { Call, Clock, HealthSource } from '@mnops/core/spi';
import { drError } from '../codes.js';
import type { PointSelector, SelectedPoint } from '../points.js';
import type { RestoreDestination, RestoreOutcome } from '../restore/run-restore.js';
import type { PhaseTiming, RecoveryContext, RecoveryOutcome, RecoveryPhase, RecoveryPlan } from './recovery-plan.js';
import { meets, type RecoveryObjective } from './tiers.js';

/** What a plan is run with. */
export interface RunPlanInput {
  readonly kind: 'recovery' | 'drill';
  readonly plan: RecoveryPlan;
  /** When the outage began; a drill's begins with the drill. */
  readonly outageStartedAt: Date;
  readonly lastWriteAt: Date | undefined;
  readonly objective: RecoveryObjective;
  readonly clock: Clock;
  readonly call: Call;
  /** Folder of a drill. */
  readonly folder: string | undefined;
  readonly keep: boolean;
  readonly select: (selector: PointSelector, sources: readonly string[] | undefined) => Promise<SelectedPoint>;
  readonly restore: (
    selected: SelectedPoint,
    sources: readonly string[] | undefined,
    target: RestoreDestination,
  ) => Promise<RestoreOutcome>;
  readonly onPhase: (phase: RecoveryPhase, id: string) => void;
}

/** How a run ended; `error` says why it failed. */
export interface RunPlanResult {
  readonly outcome: RecoveryOutcome;
  readonly error: unknown;
}

const defaultReadyTimeoutMs = 120_000;
const defaultReadyPollMs = 100;
/** What the health source said is part of the message, up to so many characters. */
const mostReasonText = 500;

/** Runs a plan step by step, with a time for each; it never rejects. */
export async function runPlan(input: RunPlanInput): Promise<RunPlanResult> {
  return await new PlanRun(input).run();
}

class PlanRun {
  readonly #input: RunPlanInput;
  readonly #id = randomUUID();
  readonly #phases: PhaseTiming[] = [];
  readonly #beganWallMs: number;
  readonly #beganMs: number;
  #selected: SelectedPoint | undefined;
  #restored: RestoreOutcome | undefined;
  #readyMs: number | undefined;
  #endInstance: (() => unknown) | undefined;

  constructor(input: RunPlanInput) {
    this.#input = input;
    this.#beganWallMs = input.clock.now();
    this.#beganMs = input.clock.monotonic();
  }

  async run(): Promise<RunPlanResult> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#steps();
    } catch (error) {
      failure = { error };
    }
    try {
      await this.#cleanUp();
    } catch (error) {
      failure ??= { error };
    }
    return { outcome: this.#outcome(failure === undefined), error: failure?.error };
  }

  async #steps(): Promise<void> {
    const { plan, kind, call } = this.#input;
    const sources = plan.restore?.sources;
    const selected = await this.#phase('select', () => this.#input.select(plan.point ?? 'latest', sources));
    this.#selected = selected;
    const context = (): RecoveryContext => ({
      kind,
      point: selected.point,
      folders: this.#restored?.folders ?? {},
      signal: call.signal,
    });
    if (kind === 'recovery' && plan.stop !== undefined) await this.#phase('stop', () => plan.stop?.(context()));
    const target = this.#input.folder === undefined ? ({ inPlace: true } as const) : { folder: this.#input.folder };
    this.#restored = await this.#phase('restore', async () => {
      const restored = await this.#input.restore(selected, sources, target);
      if (restored.state === 'exact') return restored;
      this.#restored = restored;
      throw drError('MNOPS_DR_RESTORE_INCOMPLETE', `${restored.damaged.length} paths could not be restored.`, {
        details: { damaged: restored.damaged, findings: restored.findings },
      });
    });
    if (kind === 'drill') await this.#drillService(context());
    else {
      if (plan.start !== undefined) await this.#phase('start', () => plan.start?.(context()));
      await this.#phase('ready', () => this.#untilReady(plan.ready));
    }
    this.#readyMs = this.#input.clock.monotonic();
  }

  async #drillService(context: RecoveryContext): Promise<void> {
    const { drill } = this.#input.plan;
    if (drill === undefined) return;
    const end = await this.#phase('start', () => drill.start(context));
    if (typeof end === 'function') this.#endInstance = end as () => unknown;
    await this.#phase('ready', () => this.#untilReady(drill.ready(context)));
  }

  async #untilReady(source: HealthSource): Promise<void> {
    const { clock, call, plan } = this.#input;
    const { readyTimeoutMs = defaultReadyTimeoutMs, readyPollMs = defaultReadyPollMs } = plan;
    const endsAt = clock.monotonic() + readyTimeoutMs;
    let last: readonly string[] = [];
    for (;;) {
      try {
        const report = await source.check(call);
        if (report.status === 'healthy') return;
        last = report.reasons;
      } catch (error) {
        call.signal.throwIfAborted();
        last = [error instanceof Error ? error.message.slice(0, mostReasonText) : 'The health source failed.'];
      }
      if (clock.monotonic() >= endsAt) {
        const why = last.length === 0 ? '' : ` ${last.join(' ').slice(0, mostReasonText)}`;
        throw drError('MNOPS_DR_RECOVERY_FAILED', `The service was not ready within ${readyTimeoutMs} ms.${why}`, {
          details: { readyTimeoutMs, reasons: last },
        });
      }
      await clock.sleep(readyPollMs, call.signal);
    }
  }

  async #cleanUp(): Promise<void> {
    const { kind, folder, keep } = this.#input;
    if (kind !== 'drill' || folder === undefined) return;
    await this.#phase('clean-up', async () => {
      try {
        await this.#endInstance?.();
      } finally {
        if (!keep) await rm(folder, { recursive: true, force: true });
      }
    });
  }

  async #phase<T>(phase: RecoveryPhase, run: () => T | Promise<T>): Promise<T> {
    const { clock, call } = this.#input;
    if (phase !== 'clean-up') call.signal.throwIfAborted();
    this.#input.onPhase(phase, this.#id);
    const startedAt = new Date(clock.now());
    const began = clock.monotonic();
    const end = (outcome: 'done' | 'failed'): void => {
      this.#phases.push({ phase, startedAt, durationMs: clock.monotonic() - began, outcome });
    };
    try {
      const result = await run();
      end('done');
      return result;
    } catch (error) {
      end('failed');
      throw error;
    }
  }

  #outcome(passed: boolean): RecoveryOutcome {
    const { kind, plan, outageStartedAt, lastWriteAt, objective, folder, keep } = this.#input;
    const point = this.#selected?.point;
    // The wall clock only places the call after the outage; the rest is measured by the monotonic one.
    const beforeMs = Math.max(0, this.#beganWallMs - outageStartedAt.getTime());
    const rtoMs = this.#readyMs === undefined ? undefined : beforeMs + this.#readyMs - this.#beganMs;
    const writtenMs = (lastWriteAt ?? outageStartedAt).getTime();
    const rpoMs = point === undefined ? undefined : Math.max(0, writtenMs - point.time.getTime());
    return {
      id: this.#id,
      kind,
      plan: plan.name ?? (plan.restore?.sources ?? point?.sources ?? []).join('+'),
      verdict: passed ? 'passed' : 'failed',
      point,
      rtoMs,
      rtoCovers: kind === 'drill' && plan.drill === undefined ? 'data' : 'service',
      rpoMs,
      rpoFrom: lastWriteAt === undefined ? 'outage' : 'last-write',
      objective,
      objectiveMet: passed && rpoMs !== undefined ? meets(objective, rtoMs, rpoMs) : failedObjective(objective),
      phases: this.#phases,
      restore: this.#restored,
      folder: kind === 'drill' && keep ? folder : undefined,
    };
  }
}

function failedObjective({ rtoMs, rpoMs }: RecoveryObjective): false | undefined {
  return rtoMs === undefined && rpoMs === undefined ? undefined : false;
}

/** The error of a run that failed: its cause's own code where that says more. */
export function recoveryError({ outcome, error }: RunPlanResult): MnopsError {
  const failed = outcome.phases.findLast((phase) => phase.outcome === 'failed')?.phase ?? 'select';
  const reason = error instanceof Error ? error.message : 'unknown reason';
  return drError('MNOPS_DR_RECOVERY_FAILED', `The ${outcome.kind} failed at ${failed}: ${reason}`, {
    details: { result: outcome, phase: failed, reason: MnopsError.is(error) ? error.code : undefined },
    cause: error,
  });
}
