import { coreError } from '../errors/core-error.js';
import type { Call, Clock } from '../spi/base.js';

/** What a test's call knows. */
export interface TestCallOptions {
  /** Aborts the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** What `remainingMs` counts down from, on `clock`. It aborts nothing by itself. Default: no deadline. */
  readonly timeoutMs?: number | undefined;
  /** Texts by reference, such as `{ 'secret://db#password': 'x' }`. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Default: a clock that stands still. */
  readonly clock?: Pick<Clock, 'monotonic'> | undefined;
}

/** A call with the means to abort it. */
export interface TestCall extends Call {
  /** Aborts the call's signal; default reason: an `AbortError`. */
  abort(reason?: unknown): void;
}

/** Makes the `Call` that a host would pass, for tests of providers. It starts no timer. */
export function testCall(options: TestCallOptions = {}): TestCall {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY, secrets = {}, clock = { monotonic: () => 0 } } = options;
  const controller = new AbortController();
  const endsAt = clock.monotonic() + timeoutMs;
  if (signal?.aborted === true) controller.abort(signal.reason);
  else signal?.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  return {
    signal: controller.signal,
    remainingMs: () => Math.max(0, endsAt - clock.monotonic()),
    secret: async (reference) => {
      const text = Object.hasOwn(secrets, reference) ? secrets[reference] : undefined;
      if (text !== undefined) return text;
      throw coreError('MNOPS_CORE_NOT_FOUND', 'The test call holds no secret for this reference.');
    },
    abort: (reason) => controller.abort(reason),
  };
}

/**
 * Waits, in real time, until the check neither throws nor returns `false`; then it resolves.
 *
 * @param check - Looked at every 5 ms.
 * @param options - `timeoutMs`: default 5_000; afterwards the check's last error is thrown.
 */
export async function eventually(
  check: () => unknown | Promise<unknown>,
  options: { readonly timeoutMs?: number | undefined } = {},
): Promise<void> {
  const { timeoutMs = 5_000 } = options;
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown = coreError('MNOPS_CORE_TIMEOUT', `The condition did not hold within ${timeoutMs} ms.`);
    try {
      if ((await check()) !== false) return;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= endsAt) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
