import type { ServiceConfig } from '@mnops/core/spi';
import type { DeploymentConfig } from './deployment.js';
import { configOf, type ServiceRecord } from './rollout/record.js';
import { changesBetween, type FieldChange, revisionOf } from './spec/revision.js';

/** What a deployment would do to one service. */
export interface ServicePlan {
  readonly name: string;
  readonly action: 'create' | 'replace' | 'scale' | 'none';
  readonly fromRevision?: string | undefined;
  readonly toRevision: string;
  readonly changes: readonly FieldChange[];
  /** Steps in words. */
  readonly steps: readonly string[];
}

/** What a deployment would do. */
export interface OrchestrationPlan {
  /** In the order of deployment. */
  readonly services: readonly ServicePlan[];
  /** Whether nothing would change. */
  readonly empty: boolean;
}

/** The plan for services in dependency order, from what is known of them. */
export function planOf(
  layers: readonly (readonly ServiceConfig[])[],
  deployment: DeploymentConfig,
  recordOf: (service: string) => ServiceRecord | undefined,
): OrchestrationPlan {
  const services = layers.flat().map((config) => planOne(config, deployment, recordOf(config.name)));
  return { services, empty: services.every(({ action }) => action === 'none') };
}

function planOne(config: ServiceConfig, deployment: DeploymentConfig, record: ServiceRecord | undefined): ServicePlan {
  const { name, replicas = 1 } = config;
  const toRevision = revisionOf(config);
  const fromRevision = record?.stable;
  if (record === undefined || fromRevision === undefined) {
    const steps = [`start ${replicas} of ${toRevision}`];
    return { name, action: 'create', toRevision, changes: changesBetween(undefined, config), steps };
  }
  const before = configOf(record, fromRevision);
  const changes = changesBetween(before === undefined ? undefined : { ...before, replicas: record.replicas }, {
    ...config,
    replicas,
  });
  if (fromRevision.replace(/-r\d+$/, '') === toRevision) {
    const scaled = record.replicas !== replicas;
    const steps = scaled ? [`scale from ${record.replicas} to ${replicas}`] : [];
    return { name, action: scaled ? 'scale' : 'none', fromRevision, toRevision: fromRevision, changes, steps };
  }
  return { name, action: 'replace', fromRevision, toRevision, changes, steps: stepsOf(deployment, replicas) };
}

function stepsOf({ strategy = { type: 'rolling' } }: DeploymentConfig, replicas: number): readonly string[] {
  if (strategy.type === 'recreate')
    return ['hold requests', 'end the old instances', `start ${replicas}`, 'release requests'];
  if (strategy.type === 'rolling') return [`replace ${replicas} instances one after the other`];
  const steps = strategy.steps.map((step) =>
    'setWeight' in step
      ? `send ${step.setWeight} % to the new revision`
      : step.pause.durationMs === undefined
        ? 'wait for promote()'
        : `watch for ${step.pause.durationMs} ms`,
  );
  return [...steps, 'send everything to the new revision', 'end the old instances'];
}
