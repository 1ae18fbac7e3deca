import type { AsyncLocalStorage } from 'node:async_hooks';
import { codeOf } from '../errors/mnops-error.js';
import type { OperationName } from './catalogue/index.js';
import { operationChannels } from './channels.js';
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
  const ends = (Object.keys(operationChannels) as OperationName[]).flatMap((name) => {
    const [, group = '', operation = ''] = name.split(':');
    if (options.packages !== undefined && !options.packages.includes(group)) return [];
    return [carry(name, group, operation, carrier)];
  });
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
  const channel = operationChannels[name];
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
  const ended = (message: object): void => {
    const carried = running.get(message);
    if (carried === undefined) return;
    running.delete(message);
    const { error, ...context } = message as OperationContext;
    try {
      carried.end(context, 'error' in message ? { code: codeOf(error) ?? className(error) } : undefined);
    } catch {
      // As above.
    }
  };
  const handlers = {
    // With a storage the channel calls `enter` before it tells of the start.
    start: (message: object) => {
      if (storage === undefined) began(message);
    },
    end: () => undefined,
    asyncStart: () => undefined,
    asyncEnd: ended,
    error: () => undefined,
  };
  const enter = (message: unknown): Store => (began(message as object)?.store ?? storage?.getStore()) as Store;
  channel.subscribe(handlers as Parameters<typeof channel.subscribe>[0]);
  if (storage !== undefined) channel.start.bindStore(storage as AsyncLocalStorage<unknown>, enter);
  return () => {
    channel.unsubscribe(handlers as Parameters<typeof channel.unsubscribe>[0]);
    if (storage !== undefined) channel.start.unbindStore(storage as AsyncLocalStorage<unknown>);
  };
}

function className(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
