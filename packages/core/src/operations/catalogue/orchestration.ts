import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/orchestration`. */
export const orchestrationOperations = {
  'mnops:orchestration:deploy': {
    fields: ['service', 'revision', 'strategy', 'outcome'],
    labelFields: ['service', 'strategy', 'outcome'],
  },
  'mnops:orchestration:step': {
    fields: ['service', 'revision', 'step', 'weight', 'outcome'],
    labelFields: ['service', 'step', 'outcome'],
  },
  'mnops:orchestration:analysis': {
    fields: ['service', 'revision', 'metric', 'verdict'],
    labelFields: ['service', 'verdict'],
  },
  'mnops:orchestration:shift': { fields: ['service', 'revision', 'weight'], labelFields: ['service'] },
  'mnops:orchestration:drain': { fields: ['service', 'instance', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:scale': { fields: ['service', 'from', 'to', 'outcome'], labelFields: ['service', 'outcome'] },
  'mnops:orchestration:rollback': {
    fields: ['service', 'revision', 'reason', 'outcome'],
    labelFields: ['service', 'outcome'],
  },
  'mnops:orchestration:adopt': { fields: ['service', 'instances', 'outcome'], labelFields: ['service', 'outcome'] },
} as const;
orchestrationOperations satisfies Readonly<Record<`mnops:orchestration:${string}`, OperationEntry>>;
