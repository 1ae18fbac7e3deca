import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/orchestration`. */
export const orchestrationOperations = {
  // What was asked for: each is recorded in the audit log, and the rollouts that it takes are parts of it.
  'mnops:orchestration:deploy': { fields: ['service', 'outcome'], labelFields: ['outcome'] },
  'mnops:orchestration:scale': { fields: ['service', 'from', 'to', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:restart': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:rollback': {
    fields: ['service', 'revision', 'outcome'],
    labelFields: ['service', 'outcome'],
  },
  'mnops:orchestration:promote': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:pause': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:resume': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:abort': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:remove': { fields: ['service', 'outcome'], labelFields: ['service', 'outcome'] },
  // What is done for it, service by service.
  'mnops:orchestration:rollout': {
    fields: ['service', 'revision', 'operation', 'strategy', 'outcome'],
    labelFields: ['service', 'operation', 'strategy', 'outcome'],
  },
  'mnops:orchestration:step': {
    fields: ['service', 'revision', 'step', 'reason'],
    labelFields: ['service', 'step', 'reason'],
  },
  'mnops:orchestration:analysis': {
    fields: ['service', 'revision', 'metric', 'verdict'],
    labelFields: ['service', 'metric', 'verdict'],
    routine: true,
  },
  'mnops:orchestration:shift': { fields: ['service', 'revision', 'weight'], labelFields: ['service'] },
  'mnops:orchestration:drain': { fields: ['service', 'instance', 'cut'], labelFields: ['service'], routine: true },
} as const;
orchestrationOperations satisfies Readonly<Record<`mnops:orchestration:${string}`, OperationEntry>>;
