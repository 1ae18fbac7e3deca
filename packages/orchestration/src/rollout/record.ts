import type { FailureReason, JsonValue, ServiceConfig } from '@mnops/core/spi';
import type { DeploymentConfig, OrchestrationOperation } from '../deployment.js';

/** One description that ran, or was to run. */
export interface RevisionRecord {
  readonly revision: string;
  readonly config: ServiceConfig;
  readonly createdMs: number;
  /** When it last became the one that serves. */
  readonly servedMs?: number | undefined;
}

/** A rollout that is under way; written before each act, so that another process can go on with it. */
export interface RolloutRecord {
  readonly id: string;
  readonly operation: OrchestrationOperation;
  /** The revision that serves when it fails. */
  readonly from?: string | undefined;
  readonly to: string;
  readonly deployment: DeploymentConfig;
  readonly startedMs: number;
  /** `forward` to the new revision, or back to the old one. */
  readonly phase: 'forward' | 'back';
  /** Next step of a canary. */
  readonly step: number;
  /** Why nothing goes on: a step without an end, a verdict that a person has to give, or `pause()`. */
  readonly paused?: { readonly by: 'step' | 'inconclusive' | 'user'; readonly message: string } | undefined;
  /** Skip what is left of the steps. */
  readonly full?: boolean | undefined;
  /** Why it goes back. */
  readonly reasons: readonly FailureReason[];
  readonly aborted?: boolean | undefined;
}

/** What is known of a service. */
export interface ServiceRecord {
  readonly version: 1;
  readonly service: string;
  readonly replicas: number;
  /** The revision that serves, once one did. */
  readonly stable?: string | undefined;
  /** Newest last; at most 10 and those in use. */
  readonly revisions: readonly RevisionRecord[];
  readonly rollout?: RolloutRecord | undefined;
  /** How the last rollout ended, where it failed. */
  readonly failure?:
    | { readonly revision: string; readonly reasons: readonly FailureReason[]; readonly atMs: number }
    | undefined;
  /** Requests wait while there is no instance. */
  readonly hold?: boolean | undefined;
}

const keptRevisions = 10;

/** The record with this revision among its newest. */
export function withRevision(record: ServiceRecord, revision: RevisionRecord): ServiceRecord {
  const others = record.revisions.filter((one) => one.revision !== revision.revision);
  const all = [...others, revision];
  const old = all.slice(0, Math.max(0, all.length - keptRevisions));
  const dropped = new Set(old.map((one) => one.revision));
  if (record.stable !== undefined) dropped.delete(record.stable);
  return { ...record, revisions: all.filter((one) => !dropped.has(one.revision)) };
}

export function configOf(record: ServiceRecord, revision: string): ServiceConfig | undefined {
  return record.revisions.find((one) => one.revision === revision)?.config;
}

/** The record as it was kept, or `undefined` when it is none of ours. */
export function parseRecord(value: JsonValue): ServiceRecord | undefined {
  const record = value as Partial<ServiceRecord> | null;
  if (typeof record !== 'object' || record?.version !== 1 || typeof record.service !== 'string') return undefined;
  return Array.isArray(record.revisions) && typeof record.replicas === 'number' ? (record as ServiceRecord) : undefined;
}

export function recordJson(record: ServiceRecord): JsonValue {
  return JSON.parse(JSON.stringify(record)) as JsonValue;
}
