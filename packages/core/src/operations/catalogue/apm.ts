import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/apm`. */
export const apmOperations = {
  'mnops:apm:export': { fields: ['exporter', 'spans', 'bytes'], labelFields: ['exporter'] },
  'mnops:apm:ingest': { fields: ['format', 'spans', 'rejected'], labelFields: ['format'] },
  'mnops:apm:analyse': { fields: ['kind', 'traces', 'found'], labelFields: ['kind'] },
} as const;
apmOperations satisfies Readonly<Record<`mnops:apm:${string}`, OperationEntry>>;
