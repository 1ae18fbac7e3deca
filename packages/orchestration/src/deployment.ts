import type { FailureReason, InstanceStatus, MetricQuery } from '@mnops/core/spi';
import type { FieldChange } from './spec/revision.js';

/** One question that a canary must answer well. Limits compare its value with the limit or with that of the stable revision. */
export interface AnalysisMetric {
  readonly name: string;
  /** Name of a metric source of the host. Default `proxy`: the figures of the embedded proxy. */
  readonly source?: string | undefined;
  /** Asked once for the canary and once for stable: `service` and `revision` are added to every selection. */
  readonly query: MetricQuery;
  /** The canary's value may not be over it. */
  readonly max?: number | undefined;
  /** The canary's value may not be below it. */
  readonly min?: number | undefined;
  /** The canary's value may exceed that of stable by so much. */
  readonly maxOverStable?: number | undefined;
  /** The canary's value may be so many times that of stable. */
  readonly maxRatioToStable?: number | undefined;
  /** A difference to stable up to this size is never a failure of `maxRatioToStable`. Default 0. */
  readonly tolerance?: number | undefined;
  /** Fewer observations of either side in the window are no data. Default 1. */
  readonly minObservations?: number | undefined;
  /** Milliseconds between measurements. Default 10_000. */
  readonly intervalMs?: number | undefined;
  /** Milliseconds until the first measurement. Default 0. */
  readonly initialDelayMs?: number | undefined;
  /** Measurements after which the metric is settled. Default: as long as the steps last. */
  readonly count?: number | undefined;
  /** Failed measurements that are borne. Default 0; -1: any number. */
  readonly failureLimit?: number | undefined;
  /** Inconclusive measurements that are borne. Default 0; -1: any number. */
  readonly inconclusiveLimit?: number | undefined;
  /** Errors in a row that are borne. Default 4. */
  readonly consecutiveErrorLimit?: number | undefined;
  /** What no data counts as. Default `inconclusive`. */
  readonly noData?: 'inconclusive' | 'fail' | 'pass' | 'error' | undefined;
  /** Measured and reported, without effect. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What a canary is judged by while its steps run. */
export interface RolloutAnalysis {
  readonly metrics: readonly AnalysisMetric[];
  /**
   * Milliseconds by which a step may last longer while there is too little to judge by; the windows then reach back to the
   * beginning of the step. After them it waits for a person. Default 0.
   */
  readonly waitForDataMs?: number | undefined;
}

/** One step of a canary: a share of the requests in percent, or a wait; a wait without a duration lasts until `promote()`. */
export type RolloutStep =
  | { readonly setWeight: number }
  | { readonly pause: { readonly durationMs?: number | undefined } };

/** How a new revision replaces the old one. */
export type DeploymentStrategy =
  | { readonly type: 'recreate' }
  | {
      readonly type: 'rolling';
      /** Instances above the wanted number, or a percentage of it. Default `25%`, at least 1. */
      readonly maxSurge?: number | string | undefined;
      /** Instances below the wanted number, or a percentage of it. Default 0. */
      readonly maxUnavailable?: number | string | undefined;
    }
  | {
      readonly type: 'canary';
      readonly steps: readonly RolloutStep[];
      /** Default: as of `canary()` without limits. `none`: nothing is judged, and a release that fails is promoted too. */
      readonly analysis?: RolloutAnalysis | 'none' | undefined;
    };

/**
 * What a canary is made from. Without a limit and a metric of your own it is judged by `maxErrorShareOverStable: 0.01`,
 * `maxP99RatioToStable: 2` and `p99ToleranceMs: 100`.
 */
export interface CanaryOptions {
  /** Shares of the requests in percent, each greater than the one before, such as `[5, 25, 50]`. */
  readonly weights: readonly number[];
  /** How long each share lasts, milliseconds. */
  readonly everyMs: number;
  /** `none`: nothing is judged, and the canary goes on after each share even when it fails every request. */
  readonly analysis?: 'none' | undefined;
  /** The canary's share of 5xx answers may exceed that of stable by so much, such as 0.01. */
  readonly maxErrorShareOverStable?: number | undefined;
  /** The canary's 99th percentile may be so many times that of stable, such as 1.5. */
  readonly maxP99RatioToStable?: number | undefined;
  /** A difference in the 99th percentile up to this size is never a failure, milliseconds. Default 10. */
  readonly p99ToleranceMs?: number | undefined;
  /** Greatest share of 5xx answers, whatever stable does. */
  readonly maxErrorShare?: number | undefined;
  /** Greatest 99th percentile, milliseconds, whatever stable does. */
  readonly maxP99Ms?: number | undefined;
  /** Fewer requests in the window are no data. Default 20. */
  readonly minRequests?: number | undefined;
  /** Failed measurements per metric that are borne. Default 0. */
  readonly failureLimit?: number | undefined;
  /** Milliseconds by which a share may last longer while there is too little to judge by. Default `everyMs`, at least 30,000. */
  readonly waitForDataMs?: number | undefined;
  /** Distance between measurements, milliseconds. Default: a quarter of `everyMs`, at least 250. */
  readonly intervalMs?: number | undefined;
  /** Further metrics. */
  readonly metrics?: readonly AnalysisMetric[] | undefined;
}

/** What a rolling replacement is made from. */
export interface RollingOptions {
  /** Instances above the wanted number, or a percentage of it. Default `25%`, at least 1. */
  readonly maxSurge?: number | string | undefined;
  /** Instances below the wanted number, or a percentage of it. Default 0. */
  readonly maxUnavailable?: number | string | undefined;
}

/** What the share of failed requests is held to. */
export interface ErrorShareOptions {
  /** Greatest share, 0 to 1. */
  readonly max?: number | undefined;
  /** Greatest share above that of stable. */
  readonly maxOverStable?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}

/** What a percentile is held to. */
export interface LatencyOptions {
  /** Such as 99. */
  readonly percentile: number;
  /** Greatest value, milliseconds. */
  readonly maxMs?: number | undefined;
  /** Greatest multiple of stable's value. */
  readonly maxRatioToStable?: number | undefined;
  /** A difference up to this size is never a failure of `maxRatioToStable`, milliseconds. Default 0. */
  readonly toleranceMs?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}

/** What the failures of the proxy are held to. */
export interface ProxyFailuresOptions {
  /** Default 0. */
  readonly max?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}

/** How a deployment goes on. */
export interface DeploymentConfig {
  /** Default: rolling. */
  readonly strategy?: DeploymentStrategy | undefined;
  /** How long instances may take to become ready, milliseconds. Default 300_000. */
  readonly readyTimeoutMs?: number | undefined;
  /** How long an instance must have been ready until it counts, milliseconds. Default 0. */
  readonly minReadyMs?: number | undefined;
  /** After a failure: go back to the stable revision, or keep everything as it is for a look. Default `rollback`. */
  readonly onFailure?: 'rollback' | 'keep' | undefined;
  /** When a rollout of the service is running: replace it, or refuse. Default `supersede`. */
  readonly onBusy?: 'supersede' | 'refuse' | undefined;
  /** Bring back every service of this deployment when one fails. Default false. */
  readonly together?: boolean | undefined;
}

/** What was done. */
export type OrchestrationOperation =
  | 'deploy'
  | 'scale'
  | 'restart'
  | 'rollback'
  | 'promote'
  | 'abort'
  | 'resume'
  | 'remove';

/** One measurement of an analysis. */
export interface Measurement {
  readonly metric: string;
  readonly verdict: 'success' | 'failure' | 'inconclusive' | 'error';
  readonly canary?: number | undefined;
  readonly stable?: number | undefined;
  /** Sentence for a person. */
  readonly message: string;
  readonly at: Date;
}

/** One finished step of a rollout. */
export interface StepResult {
  /** Such as `set-weight 25`. */
  readonly step: string;
  readonly startedAt: Date;
  readonly durationMs: number;
}

/** What a call did to one service. */
export interface ServiceResult {
  readonly name: string;
  readonly fromRevision?: string | undefined;
  readonly toRevision?: string | undefined;
  readonly changes: readonly FieldChange[];
  readonly steps: readonly StepResult[];
  /** Newest last; at most 1,000. */
  readonly analysis: readonly Measurement[];
  readonly instances: readonly InstanceStatus[];
}

/** How a call ended. */
export interface OrchestrationResult {
  readonly rolloutId: string;
  readonly operation: OrchestrationOperation;
  /** Id of the provider. */
  readonly target: string;
  readonly state: 'succeeded' | 'unchanged' | 'paused' | 'rolled-back' | 'aborted' | 'failed';
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly services: readonly ServiceResult[];
  readonly reasons: readonly FailureReason[];
}
