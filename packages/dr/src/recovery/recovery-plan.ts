import type { HealthSource } from '@mnops/core/spi';
import type { PointSelector, RecoveryPoint } from '../points.js';
import type { RestoreOutcome } from '../restore/run-restore.js';
import type { RecoveryObjective } from './tiers.js';

/** How a service comes back: one plan for the emergency and for its rehearsal. */
export interface RecoveryPlan {
  /** Name in evidence and events. Default: the ids of the sources. */
  readonly name?: string | undefined;
  /** Default `latest`. */
  readonly point?: PointSelector | undefined;
  /** Ends what uses the data, before it is replaced. Called by `recover` only. */
  readonly stop?: ((context: RecoveryContext) => unknown) | undefined;
  /** Which sources come back. Default: all that are configured and in the point. */
  readonly restore?: { readonly sources?: readonly string[] | undefined } | undefined;
  /** Starts the service on the restored data. Called by `recover` only. */
  readonly start?: ((context: RecoveryContext) => unknown) | undefined;
  /** Says when the service answers well again. Asked by `recover` only. */
  readonly ready: HealthSource;
  /** How a drill runs the service on isolated data. Without it, a drill proves the data only. */
  readonly drill?: DrillSteps | undefined;
  /** Milliseconds from the start of the service to `ready`. Default 120,000. */
  readonly readyTimeoutMs?: number | undefined;
  /** Milliseconds between two questions to `ready`. Default 100. */
  readonly readyPollMs?: number | undefined;
}

/** The part of a plan that a drill runs. Production's `stop`, `start` and `ready` are never called in a drill. */
export interface DrillSteps {
  /** Starts an instance on the folders of the drill; what comes back ends it. */
  start(context: RecoveryContext): unknown;
  /** Says when that instance answers well. */
  ready(context: RecoveryContext): HealthSource;
}

/** What the steps of a plan are told. */
export interface RecoveryContext {
  readonly kind: 'recovery' | 'drill';
  readonly point: RecoveryPoint;
  /** Folder of each source's restored data, in a drill; empty in a recovery in place. */
  readonly folders: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** One step with its time. */
export interface PhaseTiming {
  readonly phase: RecoveryPhase;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly outcome: 'done' | 'failed';
}

/** The steps, in their order. */
export type RecoveryPhase = 'select' | 'stop' | 'restore' | 'start' | 'ready' | 'clean-up';

/** What a recovery or a drill measured. */
export interface RecoveryOutcome {
  /** Id of the record in the evidence. */
  readonly id: string;
  readonly kind: 'recovery' | 'drill';
  readonly plan: string;
  readonly verdict: 'passed' | 'failed';
  readonly point?: RecoveryPoint | undefined;
  /** Outage to first ready, milliseconds; absent when it was never ready. */
  readonly rtoMs?: number | undefined;
  /** What the figure covers: the service's first good answer, or, in a drill without steps, the verified data. */
  readonly rtoCovers: 'service' | 'data';
  /** Last write to the point, milliseconds; 0 when the point is younger. Absent when no point was found. */
  readonly rpoMs?: number | undefined;
  /** What the loss was counted from: a known last write, or the outage, which is the most it can be. */
  readonly rpoFrom: 'last-write' | 'outage';
  readonly objective: RecoveryObjective;
  /** Whether both figures meet the objective; `undefined` when none was set. */
  readonly objectiveMet: boolean | undefined;
  readonly phases: readonly PhaseTiming[];
  readonly restore?: RestoreOutcome | undefined;
  /** Folder that a drill with `keep` left behind. */
  readonly folder?: string | undefined;
}
