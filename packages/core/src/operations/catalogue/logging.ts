import type { OperationEntry } from './shape.js';

/** Operations of `@mnops/logging`. */
export const loggingOperations = {
  'mnops:logging:append': { fields: ['store', 'entries', 'bytes'], labelFields: ['store'] },
  'mnops:logging:search': { fields: ['store', 'found', 'scannedBlocks', 'skippedBlocks'], labelFields: ['store'] },
} as const;
loggingOperations satisfies Readonly<Record<`mnops:logging:${string}`, OperationEntry>>;
