import type { AsyncLocalStorage } from 'node:async_hooks';
import { codeOf } from '../errors/mnops-error.js';
import type { OperationName } from './catalogue/index.js';
import { eventChannel, operationsOf } from './channels.js';
import type { OnOperationOptions } from './on-operation.js';
import type { OperationContext } from './traced.js';

/** An operation that has just begun. */
export interface BegunOperation {
  /** Channel name, such as `mnops:secrets:read`. */
  readonly name: OperationName;
  readonly package: string;
  readonly operation: string;
  readonly context: Readonly<OperationContext>;
}

/** What a carrier makes of one operation. */
export interface CarriedOperation<Store> {
  /** What the storage holds during the operation and all that it awaits. */
  readonly store: Store;
  /** Called once, when the operation has ended, with the fields as they are then and the failure's code, if it failed. */
  end(context: Readonly<OperationContext>, failure: { readonly code: string } | undefined): void;
}

/** Who makes something of operations that lasts while they run. */
export interface OperationCarrier<Store> {
  /** The storage that each operation runs in. Without one, operations are only told of. */
  readonly storage?: AsyncLocalStorage<Store> | undefined;
  /** Called when an operation starts; `undefined` leaves it alone. What it throws is dropped. */
  begin(operation: BegunOperation): CarriedOperation<Store> | undefined;
}

/**
 * Runs each operation, in whichever copy of MNOps this process holds, with something of the carrier's own in a storage:
 * a span, for example, which is then the parent of whatever the operation does. Nothing that the carrier throws reaches
 * the operation.
 *
 * @returns A function that ends it; `end` of operations under way is not called any more.
 */
export function carryOperations<Store>(carrier: OperationCarrier<Store>, options: OnOperationOptions = {}): () => void {
  const ends = operationsOf(options.packages).map(({ name, group, operation }) =>
    carry(name, group, operation, carrier),
  );
  return () => {
    for (const end of ends) end();
  };
}

function carry<Store>(
  name: OperationName,
  group: string,
  operation: string,
  { storage, begin }: OperationCarrier<Store>,
): () => void {
  const start = eventChannel(name, 'start');
  const asyncEnd = eventChannel(name, 'asyncEnd');
  const running = new WeakMap<object, CarriedOperation<Store>>();
  const began = (message: object): CarriedOperation<Store> | undefined => {
    try {
      const carried = begin({ name, package: group, operation, context: message as OperationContext });
      if (carried !== undefined) running.set(message, carried);
      return carried;
    } catch {
      // An observer must not cost the operation.
      return undefined;
    }
  };
  const ended = (message: unknown): void => {
    const run = message as object;
    const carried = running.get(run);
    if (carried === undefined) return;
    running.delete(run);
    const { error, ...context } = run as OperationContext;
    try {
      carried.end(context, 'error' in run ? { code: codeOf(error) ?? className(error) } : undefined);
    } catch {
      // As above.
    }
  };
  asyncEnd.subscribe(ended);
  if (storage === undefined) {
    const tell = (message: unknown): void => void began(message as object);
    start.subscribe(tell);
    return () => {
      start.unsubscribe(tell);
      asyncEnd.unsubscribe(ended);
    };
  }
  const enter = (message: unknown): Store => (began(message as object)?.store ?? storage.getStore()) as Store;
  start.bindStore(storage as AsyncLocalStorage<unknown>, enter);
  return () => {
    start.unbindStore(storage as AsyncLocalStorage<unknown>);
    asyncEnd.unsubscribe(ended);
  };
}

function className(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
