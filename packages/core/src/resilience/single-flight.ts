import { timeoutError } from '../call.js';
import { systemClock } from '../clock.js';
import { coreError } from '../errors/core-error.js';
import type { Call, CallOptions, Clock } from '../spi/base.js';

/** The call of shared work. Its signal aborts when the last waiter has gone. */
export interface SharedCall extends Call {
  /** `false` once `forget` was called for the key: the answer goes to its waiters, but must not be kept. */
  isCurrent(): boolean;
}

/** Joins callers that want the same thing at the same time. */
export interface SingleFlight<K, V> {
  /** Keys with work under way. */
  readonly size: number;
  /**
   * The value that `load` yields, shared with everybody who asks for the same key meanwhile.
   *
   * Each waiter has its own signal and deadline: its abort leaves the others alone.
   *
   * @throws {MnopsError} `MNOPS_CORE_TIMEOUT` after the waiter's `timeoutMs`; the waiter's own abort reason; else what
   * `load` threw.
   */
  run(key: K, load: (call: SharedCall) => Promise<V>, options?: CallOptions): Promise<V>;
  /** Lets later callers start anew, because what is being loaded is out of date. */
  forget(key: K): void;
}

/** What shared work is given beside its waiters' options. */
export interface SingleFlightOptions {
  readonly clock?: Pick<Clock, 'monotonic' | 'setTimer'> | undefined;
  /** Resolves `secret://` references for the shared work. */
  readonly secret?: ((reference: string) => Promise<string>) | undefined;
}

interface Flight<V> {
  readonly controller: AbortController;
  /** Deadlines of the waiters, on the monotonic clock. */
  readonly waiters: Set<{ readonly endsAt: number }>;
  promise: Promise<V>;
  settled: boolean;
}

/** Makes a group of shared work, empty at first. */
export function singleFlight<K, V>(options: SingleFlightOptions = {}): SingleFlight<K, V> {
  const { clock = systemClock(), secret = noSecrets } = options;
  const flights = new Map<K, Flight<V>>();

  function start(key: K, load: (call: SharedCall) => Promise<V>): Flight<V> {
    const controller = new AbortController();
    const waiters: Flight<V>['waiters'] = new Set();
    const flight: Flight<V> = { controller, waiters, settled: false, promise: undefined as never };
    flights.set(key, flight);
    const call: SharedCall = {
      signal: controller.signal,
      remainingMs: () => {
        let latest = 0;
        for (const { endsAt } of waiters) latest = Math.max(latest, endsAt);
        return Math.max(0, latest - clock.monotonic());
      },
      secret,
      isCurrent: () => flights.get(key) === flight,
    };
    // In a turn of its own, so that the first waiter stands before `load` asks how long it may take.
    flight.promise = Promise.resolve()
      .then(() => load(call))
      .finally(() => {
        flight.settled = true;
        drop(key, flight);
      });
    flight.promise.catch(() => undefined); // the waiters hear of it; with none left, nobody needs to
    return flight;
  }

  function drop(key: K, flight: Flight<V>): void {
    if (flights.get(key) === flight) flights.delete(key);
  }

  function leave(key: K, flight: Flight<V>, waiter: { readonly endsAt: number }, reason: unknown): void {
    flight.waiters.delete(waiter);
    if (flight.waiters.size > 0 || flight.settled) return;
    drop(key, flight);
    flight.controller.abort(reason);
  }

  return {
    get size() {
      return flights.size;
    },
    forget: (key) => void flights.delete(key),
    async run(key, load, { signal, timeoutMs } = {}) {
      signal?.throwIfAborted();
      const flight = flights.get(key) ?? start(key, load);
      const waiter = { endsAt: timeoutMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() + timeoutMs };
      flight.waiters.add(waiter);
      return await new Promise<V>((resolve, reject) => {
        const timer =
          timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
            ? undefined
            : clock.setTimer(timeoutMs, () => give(timeoutError(timeoutMs)), { hold: true });
        const aborted = (): void => give(signal?.reason);
        signal?.addEventListener('abort', aborted, { once: true });
        function end(): void {
          timer?.cancel();
          signal?.removeEventListener('abort', aborted);
        }
        function give(reason: unknown): void {
          end();
          leave(key, flight, waiter, reason);
          reject(reason);
        }
        flight.promise.then(
          (value) => {
            end();
            resolve(value);
          },
          (error: unknown) => {
            end();
            reject(error);
          },
        );
      });
    },
  };
}

function noSecrets(): Promise<string> {
  return Promise.reject(coreError('MNOPS_CORE_CONFIG_INVALID', 'A secret reference was given, but no resolver.'));
}
