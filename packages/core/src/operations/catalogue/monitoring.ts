import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/monitoring`. */
export const monitoringOperations = {
  'mnops:monitoring:scrape': { fields: ['format', 'series', 'bytes'], labelFields: ['format'], routine: true },
  'mnops:monitoring:evaluate': {
    fields: ['rule', 'source', 'state', 'series'],
    labelFields: ['rule', 'source', 'state'],
    routine: true,
  },
  'mnops:monitoring:notify': {
    fields: ['notifier', 'alert', 'status', 'severity'],
    labelFields: ['notifier', 'status', 'severity'],
  },
} as const;
monitoringOperations satisfies Readonly<Record<`mnops:monitoring:${string}`, OperationEntry>>;
