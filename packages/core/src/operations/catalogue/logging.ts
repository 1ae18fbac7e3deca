import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/logging`. */
export const loggingOperations = {
  'mnops:logging:append': { fields: ['store', 'entries'], labelFields: ['store'], routine: true },
  'mnops:logging:search': { fields: ['store', 'found', 'scannedBytes', 'partial'], labelFields: ['store', 'partial'] },
} as const;
loggingOperations satisfies Readonly<Record<`mnops:logging:${string}`, OperationEntry>>;
