import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/core`. */
export const coreOperations = {
  'mnops:core:audit-append': {
    fields: ['actor', 'action', 'outcome', 'durable', 'waited'],
    labelFields: ['outcome', 'durable'],
    routine: true,
    instantUnless: 'waited',
  },
  'mnops:core:audit-verify': { fields: ['records', 'findings'], labelFields: [] },
} as const;
coreOperations satisfies Readonly<Record<`mnops:core:${string}`, OperationEntry>>;
