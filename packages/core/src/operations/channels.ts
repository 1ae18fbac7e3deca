import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel';
import { type OperationName, operationCatalogue } from './catalogue/index.js';

/** The tracing channel of each operation. Made once: looking one up by name costs a thousand times a call that nobody observes. */
export const operationChannels: Readonly<Record<OperationName, TracingChannel<unknown, object>>> = Object.freeze(
  Object.fromEntries(
    (Object.keys(operationCatalogue) as OperationName[]).map((name) => [name, tracingChannel<unknown, object>(name)]),
  ) as Record<OperationName, TracingChannel<unknown, object>>,
);
