import type { TracingChannel } from 'node:diagnostics_channel';
import type { OperationFieldName, OperationName } from './catalogue/index.js';
import { operationChannel } from './channels.js';

/** A value that an event may carry. */
export type OperationField = string | number | boolean | null;

/** The fields of one run of some operation, as those who listen see them. */
export type OperationContext = Record<string, OperationField>;

/** The fields of one run of an operation, as far as they are known: those that the catalogue names, and no others. */
export type OperationFields<N extends OperationName> = { [F in OperationFieldName<N>]?: OperationField };

/**
 * Runs one operation and publishes its start, end and failure on the tracing channel of its name
 * (`node:diagnostics_channel`, events `start end asyncStart asyncEnd error`). When nobody listens, it only runs.
 *
 * Subscribers see the context and the error, never the result. `run` gets the context and may add fields to it before it
 * ends, such as `cached`; the fields of each operation stand in `operationCatalogue`.
 *
 * @returns What `run` returned.
 */
export function traced<N extends OperationName, T>(
  channel: N,
  context: OperationFields<N>,
  run: (context: OperationFields<N>) => Promise<T>,
): Promise<T> {
  const tracing = operationChannel(channel);
  return tracing.hasSubscribers ? published(tracing, { ...context }, run) : run(context);
}

/** Like `TracingChannel.tracePromise`, which would put the result onto the context. */
function published<T, F extends object>(
  tracing: TracingChannel<unknown, object>,
  context: F,
  run: (context: F) => Promise<T>,
): Promise<T> {
  const { start, end, asyncStart, asyncEnd, error } = tracing;
  const failed = (reason: unknown): void => {
    Object.assign(context, { error: reason });
    error.publish(context);
  };
  const finished = (): void => {
    asyncStart.publish(context);
    asyncEnd.publish(context);
  };
  return start.runStores(context, async () => {
    let running: Promise<T>;
    try {
      // A synchronous throw becomes a rejection: every run ends with `asyncEnd`.
      running = Promise.resolve(run(context));
    } catch (reason) {
      running = Promise.reject(reason);
    }
    end.publish(context);
    try {
      return await running;
    } catch (reason) {
      failed(reason);
      throw reason;
    } finally {
      finished();
    }
  });
}
