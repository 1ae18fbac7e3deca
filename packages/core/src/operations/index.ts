export {
  type BegunOperation,
  type CarriedOperation,
  carryOperations,
  type OperationCarrier,
} from './carry-operations.js';
export { type OperationFieldName, type OperationName, operationCatalogue } from './catalogue/index.js';
export type { OperationEntry } from './catalogue/shape.js';
export { type OnOperationOptions, type OperationEvent, onOperation } from './on-operation.js';
export { type OperationContext, type OperationField, type OperationFields, traced } from './traced.js';
