import { systemClock } from './clock.js';
import { coreError } from './errors/core-error.js';
import type { Call, CallOptions, Clock, Credential } from './spi/base.js';
import type { SecretResolver } from './spi/secret-resolver.js';

/** What a call is made from. */
export interface CallOfOptions extends CallOptions {
  /** Resolves `secret://` references. Without it, a reference is an error that says so. */
  readonly secrets?: SecretResolver | undefined;
  readonly clock?: Clock | undefined;
}

/** A call with the means to end it. */
export interface OwnedCall extends Call {
  /** Stops the deadline timer. Call it when the work is done. */
  end(): void;
}

/**
 * Makes the `Call` that providers expect, for code that uses a provider without a host.
 *
 * The call's signal aborts with the caller's reason, or with `MNOPS_CORE_TIMEOUT` once `timeoutMs` has passed.
 */
export function callOf(options: CallOfOptions = {}): OwnedCall {
  const { signal, timeoutMs, secrets, clock = systemClock() } = options;
  const controller = new AbortController();
  const endsAt = timeoutMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() + timeoutMs;
  const forward = (): void => controller.abort(signal?.reason);
  if (signal?.aborted === true) forward();
  else signal?.addEventListener('abort', forward, { once: true });
  const timer =
    timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
      ? undefined
      : clock.setTimer(timeoutMs, () => controller.abort(timeoutError(timeoutMs)), { hold: true });
  return {
    signal: controller.signal,
    remainingMs: () => Math.max(0, endsAt - clock.monotonic()),
    secret: async (reference) => {
      if (secrets === undefined) {
        throw coreError(
          'MNOPS_CORE_CONFIG_INVALID',
          `A reference ${withoutKey(reference)} was given, but no resolver.`,
          {
            remedy: "Pass `secrets: manager.resolver({ actor: '…' })` to the host that uses the reference.",
          },
        );
      }
      const value = await secrets.resolve(reference, { signal: controller.signal });
      return value.reveal();
    },
    end: () => {
      timer?.cancel();
      signal?.removeEventListener('abort', forward);
    },
  };
}

/** The error of a deadline that passed. */
export function timeoutError(timeoutMs: number): Error {
  return coreError('MNOPS_CORE_TIMEOUT', `No answer within ${timeoutMs} ms.`, { details: { timeoutMs } });
}

/**
 * Runs work under a call and ends the call afterwards. When the call is aborted the promise rejects at once with the
 * reason, even if the work does not listen to its signal.
 */
export async function withCall<T>(options: CallOfOptions, run: (call: Call) => Promise<T>): Promise<T> {
  const call = callOf(options);
  try {
    call.signal.throwIfAborted();
    return await untilAborted(run(call), call.signal);
  } finally {
    call.end();
  }
}

/**
 * What the work yields, or the signal's reason at once when it aborts first. The work itself goes on: others may still wait
 * for it.
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * The text of a credential at this moment: a function is called, a `secret://path#key` text goes to `call.secret`, any
 * other text is itself.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when that is no text; its kind is told, never its value. What the
 * function throws comes through as it is.
 */
export async function credential(value: Credential, call: Pick<Call, 'secret'>): Promise<string> {
  const text: unknown = typeof value === 'function' ? await value() : value;
  if (typeof text !== 'string') {
    const expected = typeof value === 'function' ? 'a function that returns text' : 'text or a function';
    const received = text === undefined ? 'nothing' : text === null ? 'null' : typeof text;
    const remedy = 'Return the text of the credential, or a promise of it.';
    throw coreError('MNOPS_CORE_CONFIG_INVALID', `Invalid credential: expected ${expected}, received ${received}.`, {
      remedy,
      details: { issues: [{ field: 'credential', expected, received, remedy }] },
    });
  }
  return text.startsWith('secret://') ? await call.secret(text) : text;
}

/** A reference without its `#key`, for messages. */
function withoutKey(reference: string): string {
  return reference.split('#', 1)[0] ?? reference;
}
