import { performance } from 'node:perf_hooks';
import { codeOf } from '../errors/mnops-error.js';
import type { OperationName } from './catalogue/index.js';
import { eventChannel, operationsOf } from './channels.js';
import type { OperationContext } from './traced.js';

/** Something that an operation reported. */
export interface OperationEvent {
  /** Channel name, such as `mnops:secrets:read`. */
  readonly name: OperationName;
  readonly package: string;
  readonly operation: string;
  /** `end` after success, `error` after failure; each run has one of them. */
  readonly phase: 'start' | 'end' | 'error';
  /** The operation's fields as they are at that moment. */
  readonly context: Readonly<OperationContext>;
  /** Milliseconds since the start; absent at the start. */
  readonly durationMs?: number | undefined;
  /** Code of the failure, or its class name when it has none; only with phase `error`. */
  readonly code?: string | undefined;
}

/** Which operations are listened to. */
export interface OnOperationOptions {
  /** Names of packages, such as `secrets`. Default: all. */
  readonly packages?: readonly string[] | undefined;
}

/**
 * The listener is called, synchronously, whenever an operation starts, ends or fails, in whichever copy of MNOps this
 * process holds. What it throws is reported by Node as an uncaught exception, so it must not throw.
 *
 * @returns A function that ends the subscription.
 */
export function onOperation(listener: (event: OperationEvent) => void, options: OnOperationOptions = {}): () => void {
  const ends = operationsOf(options.packages).map(({ name, group, operation }) => {
    return subscribe(name, group, operation, listener);
  });
  return () => {
    for (const end of ends) end();
  };
}

function subscribe(
  name: OperationName,
  group: string,
  operation: string,
  listener: (event: OperationEvent) => void,
): () => void {
  const start = eventChannel(name, 'start');
  const asyncEnd = eventChannel(name, 'asyncEnd');
  const startedAt = new WeakMap<object, number>();
  const emit = (phase: OperationEvent['phase'], message: object, more: Partial<OperationEvent> = {}): void => {
    const { error: _, ...context } = message as OperationContext;
    listener({ name, package: group, operation, phase, context, ...more });
  };
  const started = (message: unknown): void => {
    startedAt.set(message as object, performance.now());
    emit('start', message as object);
  };
  const ended = (message: unknown): void => {
    const run = message as object;
    const began = startedAt.get(run);
    // A run that began before the subscription has no duration and is left out.
    if (began === undefined) return;
    startedAt.delete(run);
    const durationMs = performance.now() - began;
    if (!('error' in run)) emit('end', run, { durationMs });
    else emit('error', run, { durationMs, code: codeOf(run.error) ?? className(run.error) });
  };
  start.subscribe(started);
  asyncEnd.subscribe(ended);
  return () => {
    start.unsubscribe(started);
    asyncEnd.unsubscribe(ended);
  };
}

function className(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
