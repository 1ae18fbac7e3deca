import type {
  Call,
  FailureReason,
  OrchestrationProvider,
  RevisionObservation,
  RouteCounts,
  RouteState,
  ServiceAddress,
} from '@mnops/core/spi';
import type { OrchestrationOperation } from '../deployment.js';
import { configOf, type ServiceRecord } from '../rollout/record.js';

/** State of one service. */
export interface ServiceStatus {
  readonly name: string;
  /** Version of the stable revision. */
  readonly version?: string | undefined;
  readonly replicas: number;
  /** Ready instances of all revisions. */
  readonly ready: number;
  readonly stableRevision?: string | undefined;
  readonly address?: ServiceAddress | undefined;
  readonly route?: RouteState | undefined;
  readonly revisions: readonly RevisionObservation[];
  readonly requests: RouteCounts;
  /** The rollout that runs or is paused. */
  readonly rollout?:
    | {
        readonly rolloutId: string;
        readonly operation: OrchestrationOperation;
        readonly fromRevision?: string | undefined;
        readonly toRevision: string;
        readonly step: number;
        readonly goingBack: boolean;
        /** Why it is paused. */
        readonly paused?: string | undefined;
        readonly startedAt: Date;
      }
    | undefined;
  /** How the last rollout failed, until one succeeds. */
  readonly failure?:
    | { readonly revision: string; readonly reasons: readonly FailureReason[]; readonly at: Date }
    | undefined;
}

/** One description of a service that ran, or was to run. */
export interface Revision {
  readonly revision: string;
  readonly version?: string | undefined;
  readonly createdAt: Date;
  readonly stable: boolean;
}

/** State of a service from its record and what is observed. */
export async function statusOf(
  record: ServiceRecord,
  provider: OrchestrationProvider,
  call: Call,
): Promise<ServiceStatus> {
  const { service, stable, replicas, rollout, failure } = record;
  const { revisions } = await provider.observe(service, call);
  return {
    name: service,
    version: stable === undefined ? undefined : configOf(record, stable)?.version,
    replicas,
    ready: revisions.reduce((sum, { ready }) => sum + ready, 0),
    stableRevision: stable,
    address: provider.router.address(service),
    route: await provider.router.read(service, call),
    revisions,
    requests: provider.router.counts(service),
    rollout: rollout && {
      rolloutId: rollout.id,
      operation: rollout.operation,
      fromRevision: rollout.from,
      toRevision: rollout.to,
      step: rollout.step,
      goingBack: rollout.phase === 'back',
      paused: rollout.paused?.message,
      startedAt: new Date(rollout.startedMs),
    },
    failure: failure && { revision: failure.revision, reasons: failure.reasons, at: new Date(failure.atMs) },
  };
}
