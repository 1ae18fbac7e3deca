export type { TextOptions } from './styles.js';
export { baselineTable, rootCauseText, serviceMapText } from './tables.js';
export { type TraceTreeOptions, traceTree } from './trace-tree.js';
