import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/monitoring`. */
export const monitoringOperations = {
  'mnops:monitoring:scrape': { fields: ['format', 'bytes'], labelFields: ['format'], routine: true },
  'mnops:monitoring:evaluate': {
    fields: ['group', 'alert', 'source', 'series'],
    labelFields: ['group', 'alert', 'source'],
    routine: true,
  },
  'mnops:monitoring:notify': {
    fields: ['notifier', 'key', 'status', 'severity'],
    labelFields: ['notifier', 'status', 'severity'],
  },
} as const;
monitoringOperations satisfies Readonly<Record<`mnops:monitoring:${string}`, OperationEntry>>;
