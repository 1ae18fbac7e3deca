import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/dr`. */
export const drOperations = {
  'mnops:dr:backup': {
    fields: ['source', 'repository', 'snapshot', 'files', 'bytes', 'newBytes', 'outcome'],
    labelFields: ['source', 'outcome'],
  },
  'mnops:dr:restore': {
    fields: ['source', 'repository', 'snapshot', 'files', 'bytes', 'outcome'],
    labelFields: ['source', 'outcome'],
  },
  'mnops:dr:validate': { fields: ['repository', 'findings', 'outcome'], labelFields: ['outcome'] },
  'mnops:dr:drill': { fields: ['plan', 'repository', 'rtoMs', 'rpoMs', 'outcome'], labelFields: ['plan', 'outcome'] },
  'mnops:dr:recover': { fields: ['plan', 'repository', 'rtoMs', 'rpoMs', 'outcome'], labelFields: ['plan', 'outcome'] },
} as const;
drOperations satisfies Readonly<Record<`mnops:dr:${string}`, OperationEntry>>;
