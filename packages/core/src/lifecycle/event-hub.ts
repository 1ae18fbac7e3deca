import { nearestName } from '../config/nearest.js';
import { coreError } from '../errors/core-error.js';
import { warnOfFailure } from '../errors/warn-of-failure.js';

/** Typed events of one object: names to values. */
export interface EventHub<Events extends object> {
  /** The listener is called for each event from now on; the function that comes back removes it. */
  on<Name extends keyof Events & string>(event: Name, listener: (value: Events[Name]) => void): () => void;
  /** Calls the listeners of an event in the order in which they came. What they throw does not reach the caller. */
  emit<Name extends keyof Events & string>(event: Name, value: Events[Name]): void;
  /** How many listeners an event has. */
  count(event: keyof Events & string): number;
}

/** The names of all events, each once: what `on` takes, and what it names when it is given another. */
export type EventNames<Events extends object> = { readonly [Name in keyof Events & string]: true };

/** What an event hub is made with. */
export interface EventHubOptions {
  /**
   * Called with what a listener threw or rejected with. Default: a process warning `MNOPS_LISTENER_FAILED` that names the
   * event, says what was thrown (credentials in it replaced) and where, and has it as `cause`.
   */
  readonly onError?: ((event: string, error: unknown) => void) | undefined;
  /** Most listeners of one event. Default 1,000. */
  readonly maxListeners?: number | undefined;
}

/**
 * Makes an event hub. A listener that throws, or whose promise rejects, breaks neither the emitter nor other listeners.
 * A listener may add and remove listeners; that counts from the next event on.
 *
 * @param names - Every event by its name, such as `{ 'thing:made': true }`.
 * @throws {MnopsError} `on` throws `MNOPS_CORE_CONFIG_INVALID` for a name that is not among them (it names the nearest and
 * all) and for a listener that is no function, `MNOPS_CORE_TOO_LARGE` over `maxListeners`.
 */
export function eventHub<Events extends object>(
  names: EventNames<Events>,
  options: EventHubOptions = {},
): EventHub<Events> {
  const { onError = warn, maxListeners = 1_000 } = options;
  const listeners = new Map<string, ReadonlySet<{ readonly call: (value: never) => unknown }>>();

  function on(event: string, call: (value: never) => unknown): () => void {
    if (typeof event !== 'string' || !Object.hasOwn(names, event)) throw unknownEvent(event, Object.keys(names));
    if (typeof call !== 'function') {
      throw invalid(
        'listener',
        'a function',
        call === null ? 'null' : typeof call,
        'Pass a function that takes the event.',
      );
    }
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

function unknownEvent(event: unknown, names: readonly string[]): Error {
  if (typeof event !== 'string') return invalid('event', 'the name of an event', typeof event, oneOf(names));
  const near = nearestName(event, names);
  const hint = near === undefined ? '' : `Did you mean '${near}'? `;
  return invalid('event', 'the name of an event', `'${event.slice(0, 64)}'`, `${hint}${oneOf(names)}`);
}

function oneOf(names: readonly string[]): string {
  return `Known events: ${names.join(', ')}.`;
}

function invalid(field: string, expected: string, received: string, remedy: string): Error {
  const message = `Invalid options of on: ${field}: expected ${expected}, received ${received}. ${remedy}`;
  return coreError('MNOPS_CORE_CONFIG_INVALID', message, {
    remedy,
    details: { issues: [{ field, expected, received, remedy }] },
  });
}

function warn(event: string, error: unknown): void {
  warnOfFailure('MNOPS_LISTENER_FAILED', `A listener for ${event}`, error);
}
