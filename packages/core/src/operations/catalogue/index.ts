import { apmOperations } from './apm.js';
import { coreOperations } from './core.js';
import { drOperations } from './dr.js';
import { loggingOperations } from './logging.js';
import { monitoringOperations } from './monitoring.js';
import { orchestrationOperations } from './orchestration.js';
import { secretsOperations } from './secrets.js';
import type { OperationEntry } from './shape.js';

type Catalogue = typeof coreOperations &
  typeof secretsOperations &
  typeof monitoringOperations &
  typeof loggingOperations &
  typeof apmOperations &
  typeof orchestrationOperations &
  typeof drOperations;

/** Name of an operation, which is also the name of its tracing channel. */
export type OperationName = keyof Catalogue;

/** Names of the fields that the events of an operation may carry. */
export type OperationFieldName<N extends OperationName> = Catalogue[N]['fields'][number];

/** Every operation that MNOps publishes: the fields of its events, and which of them are safe as metric labels. Public API. */
export const operationCatalogue: Readonly<Record<OperationName, OperationEntry>> = {
  ...coreOperations,
  ...secretsOperations,
  ...monitoringOperations,
  ...loggingOperations,
  ...apmOperations,
  ...orchestrationOperations,
  ...drOperations,
};
