import * as v from 'valibot';
import { systemClock } from '../clock.js';
import { countSchema, durationMsSchema, functionSchema, parseOptions } from '../config/index.js';
import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import type { Clock } from '../spi/base.js';

/** `closed`: calls pass; `open`: calls are refused; `half-open`: one call is let through to find out. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** Refuses calls to a back end that keeps failing, until a single call has succeeded again. */
export interface CircuitBreaker {
  readonly state: CircuitState;
  /** Runs the work, or rejects at once with `MNOPS_CORE_UNAVAILABLE` and `retryAfterMs` while the circuit is open. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** When a circuit opens and closes. */
export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** Milliseconds until one call is let through. */
  readonly openMs: number;
  readonly clock?: Pick<Clock, 'monotonic'> | undefined;
  /** Hears of each change of state. */
  readonly onChange?: ((state: CircuitState, before: CircuitState) => void) | undefined;
}

const optionsSchema = v.strictObject({
  failures: countSchema,
  openMs: durationMsSchema,
  clock: v.optional(v.object({ monotonic: functionSchema })),
  onChange: v.optional(functionSchema),
});

/**
 * Makes a closed circuit.
 *
 * A failure is an error that says `retryable`. Other errors of MNOps, such as `MNOPS_CORE_NOT_FOUND`, show that the
 * back end answers, so they count as success. Anything else, such as the caller's abort, counts as neither.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function circuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  parseOptions('circuitBreaker', optionsSchema, options);
  const { failures, openMs, clock = systemClock(), onChange } = options;
  let state: CircuitState = 'closed';
  let failed = 0;
  let openedAt = 0;
  let probing = false;

  function change(next: CircuitState): void {
    const before = state;
    state = next;
    if (before !== next) onChange?.(next, before);
  }

  function open(): void {
    openedAt = clock.monotonic();
    change('open');
  }

  function refuse(): never {
    const waitMs = Math.max(0, openedAt + openMs - clock.monotonic());
    throw coreError('MNOPS_CORE_UNAVAILABLE', 'The circuit is open after repeated failures; nothing was sent.', {
      details: { circuit: state },
      retryAfterMs: waitMs,
    });
  }

  function current(): CircuitState {
    if (state === 'open' && clock.monotonic() >= openedAt + openMs) change('half-open');
    return state;
  }

  function settle(asProbe: boolean, result: 'success' | 'failure' | 'neither'): void {
    if (asProbe) {
      probing = false;
      if (result === 'failure') open();
      if (result !== 'success') return;
      failed = 0;
      change('closed');
      return;
    }
    // A call from before the circuit opened says nothing about the back end now.
    if (state !== 'closed') return;
    if (result === 'success') failed = 0;
    if (result !== 'failure') return;
    failed += 1;
    if (failed >= failures) open();
  }

  return {
    get state() {
      return current();
    },
    async run(work) {
      const asProbe = current() === 'half-open';
      if (state === 'open' || (asProbe && probing)) refuse();
      if (asProbe) probing = true;
      try {
        const value = await work();
        settle(asProbe, 'success');
        return value;
      } catch (error) {
        if (!MnopsError.is(error) || error.code === 'MNOPS_CORE_ABORTED') settle(asProbe, 'neither');
        else settle(asProbe, error.retryable ? 'failure' : 'success');
        throw error;
      }
    },
  };
}
