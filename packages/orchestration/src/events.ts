import type { EventNames } from '@mnops/core/lifecycle';
import type { HostStatus, RouteShares, StorageDamage } from '@mnops/core/spi';
import type { OrchestrationOperation, OrchestrationResult, StepResult } from './deployment.js';

/** Events of the host, by name. */
export interface OrchestrationEvents {
  'status:changed': { readonly status: HostStatus; readonly reasons: readonly string[] };
  'storage:damaged': StorageDamage;
  'rollout:started': {
    readonly service: string;
    readonly rolloutId: string;
    readonly operation: OrchestrationOperation;
    readonly fromRevision?: string | undefined;
    readonly toRevision: string;
  };
  'rollout:step-ended': StepResult & { readonly service: string };
  'rollout:paused': { readonly service: string; readonly rolloutId: string; readonly message: string };
  'rollout:ended': { readonly service: string; readonly result: OrchestrationResult };
  'route:shifted': { readonly service: string; readonly shares: RouteShares };
  'instance:crashed': {
    readonly service: string;
    readonly instance: string;
    readonly revision: string;
    readonly restarts: number;
    readonly message: string;
  };
  'instance:became-ready': { readonly service: string; readonly instance: string; readonly revision: string };
  'service:removed': { readonly service: string };
}

/** Their names. */
export const orchestrationEvents: EventNames<OrchestrationEvents> = {
  'status:changed': true,
  'storage:damaged': true,
  'rollout:started': true,
  'rollout:step-ended': true,
  'rollout:paused': true,
  'rollout:ended': true,
  'route:shifted': true,
  'instance:crashed': true,
  'instance:became-ready': true,
  'service:removed': true,
};

/** One event of one service, for people. `gap`: the reader was too slow and so many events were dropped. */
export interface RolloutEvent {
  readonly type: keyof OrchestrationEvents | 'gap';
  readonly service: string;
  readonly at: Date;
  readonly message: string;
}
