import { coreError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';

/** Typed events of one object: names to values. */
export interface EventHub<Events extends object> {
  /** The listener is called for each event from now on; the function that comes back removes it. */
  on<Name extends keyof Events & string>(event: Name, listener: (value: Events[Name]) => void): () => void;
  /** Calls the listeners of an event in the order in which they came. What they throw does not reach the caller. */
  emit<Name extends keyof Events & string>(event: Name, value: Events[Name]): void;
  /** How many listeners an event has. */
  count(event: keyof Events & string): number;
}

/** What an event hub is made with. */
export interface EventHubOptions {
  /** Called with what a listener threw or rejected with. Default: a process warning that names the event and the code. */
  readonly onError?: ((event: string, error: unknown) => void) | undefined;
  /** Most listeners of one event. Default 1,000. */
  readonly maxListeners?: number | undefined;
}

/**
 * Makes an event hub. A listener that throws, or whose promise rejects, breaks neither the emitter nor other listeners.
 * A listener may add and remove listeners; that counts from the next event on.
 *
 * @throws {MnopsError} `on` throws `MNOPS_CORE_TOO_LARGE` over `maxListeners`.
 */
export function eventHub<Events extends object>(options: EventHubOptions = {}): EventHub<Events> {
  const { onError = warn, maxListeners = 1_000 } = options;
  const listeners = new Map<string, ReadonlySet<{ readonly call: (value: never) => unknown }>>();

  function on(event: string, call: (value: never) => unknown): () => void {
    const entry = { call };
    const before = listeners.get(event);
    if (before !== undefined && before.size >= maxListeners) {
      throw coreError('MNOPS_CORE_TOO_LARGE', `More than ${maxListeners} listeners for ${event} (maxListeners).`, {
        remedy: 'Call the function that `on` returns when a listener is not needed any more.',
      });
    }
    listeners.set(event, new Set([...(before ?? []), entry]));
    return () => {
      const rest = new Set(listeners.get(event));
      if (!rest.delete(entry)) return;
      if (rest.size === 0) listeners.delete(event);
      else listeners.set(event, rest);
    };
  }

  function emit(event: string, value: unknown): void {
    for (const { call } of listeners.get(event) ?? []) {
      try {
        const result = call(value as never);
        if (isThenable(result)) result.then(undefined, (error: unknown) => onError(event, error));
      } catch (error) {
        onError(event, error);
      }
    }
  }

  return { on, emit, count: (event) => listeners.get(event)?.size ?? 0 };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function warn(event: string, error: unknown): void {
  const kind = codeOf(error) ?? (error instanceof Error ? error.name : typeof error);
  process.emitWarning(`A listener for ${event} failed: ${kind}`, { code: 'MNOPS_LISTENER_FAILED' });
}
