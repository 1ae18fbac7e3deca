import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/apm`. */
export const apmOperations = {
  'mnops:apm:export': { fields: ['exporter', 'spans'], labelFields: ['exporter'], routine: true },
  'mnops:apm:ingest': { fields: ['accepted', 'rejected'], labelFields: [], routine: true },
  'mnops:apm:flush': { fields: ['exporters', 'held'], labelFields: [], routine: true },
  'mnops:apm:find-root-cause': {
    fields: ['service', 'operation', 'traces', 'candidates', 'verdict'],
    labelFields: ['verdict'],
  },
} as const;
apmOperations satisfies Readonly<Record<`mnops:apm:${string}`, OperationEntry>>;
