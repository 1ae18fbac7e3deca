import { codeOf, coreError, MnopsError } from '@mnops/core';
import { type RetryBudget, retry } from '@mnops/core/resilience';
import type { Call, Clock, SecretProvider, SecretSelector, StoredSecret } from '@mnops/core/spi';
import type { RetrySettings } from '../settings.js';

/** What loads work with. */
export interface BatchOptions {
  readonly provider: SecretProvider;
  readonly retry: RetrySettings;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly random: () => number;
  /** Hears of each call to the provider before it is made. */
  readonly onCall: () => void;
  readonly onRetry: () => void;
}

/** One read that waits for its turn. */
interface Waiting {
  readonly path: string;
  readonly call: Call;
  readonly resolve: (stored: StoredSecret | undefined) => void;
  readonly reject: (error: unknown) => void;
  readonly forget: () => void;
}

/** Paths of one group without an outcome, with the last error of their own. */
type OpenPaths = Map<string, { readonly readers: readonly Waiting[]; error: Error | undefined }>;

const singlesMs = 300_000;

/**
 * Values from the provider, with retries. Reads of current values that begin in one turn of the event loop go to a provider
 * that can read several at once in as few calls as its `batchGet` allows; each keeps its own abort, deadline and outcome.
 *
 * It holds no more than what callers wait for: each turn sends everything that was asked in it.
 */
export class BatchLoader {
  readonly #options: BatchOptions;
  #waiting = new Set<Waiting>();
  /** On the monotonic clock: no batches before, because this identity may not ask for several at once. */
  #singlesUntil = Number.NEGATIVE_INFINITY;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** The version asked for, or `undefined`. An abort of the call rejects at once with its reason. */
  load(path: string, at: SecretSelector, call: Call): Promise<StoredSecret | undefined> {
    const { provider, clock } = this.#options;
    const current = at.version === undefined && at.stage === undefined;
    const batches = provider.getMany !== undefined && provider.capabilities.batchGet > 1;
    if (current && batches && clock.monotonic() >= this.#singlesUntil) return this.#join(path, call);
    return this.#single(path, at, call);
  }

  #single(path: string, at: SecretSelector, call: Call): Promise<StoredSecret | undefined> {
    return this.#retried(call, () => this.#options.provider.get(path, at, call));
  }

  #retried<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const { retry: settings, clock, budget, random, onCall, onRetry } = this.#options;
    const attempt = (): Promise<T> => {
      onCall();
      return run();
    };
    const remainingMs = (): number => call.remainingMs();
    return retry(attempt, { ...settings, signal: call.signal, clock, budget, random, remainingMs, onRetry });
  }

  #join(path: string, call: Call): Promise<StoredSecret | undefined> {
    call.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        reject(call.signal.reason);
      };
      call.signal.addEventListener('abort', onAbort, { once: true });
      const forget = (): void => call.signal.removeEventListener('abort', onAbort);
      const waiting: Waiting = { path, call, resolve, reject, forget };
      // After every promise of this turn has run, so that reads which begin together are sent together.
      if (this.#waiting.size === 0) setImmediate(() => this.#send());
      this.#waiting.add(waiting);
    });
  }

  #send(): void {
    const byPath = new Map<string, Waiting[]>();
    for (const each of this.#waiting) byPath.set(each.path, [...(byPath.get(each.path) ?? []), each]);
    this.#waiting = new Set();
    const groups = [...byPath];
    const most = this.#options.provider.capabilities.batchGet;
    for (let at = 0; at < groups.length; at += most) void this.#run(new Map(groups.slice(at, at + most)));
  }

  /** One group: a call of its own that ends when the last of its readers has gone. Never rejects. */
  async #run(group: ReadonlyMap<string, readonly Waiting[]>): Promise<void> {
    const everybody = [...group.values()].flat();
    const { call, end } = sharedCall(everybody.map(({ call: own }) => own));
    const open: OpenPaths = new Map([...group].map(([path, readers]) => [path, { readers, error: undefined }]));
    try {
      await this.#retried(call, () => this.#attempt(open, call));
    } catch (error) {
      if (open.size > 1 && codeOf(error) === 'MNOPS_CORE_ACCESS_DENIED') this.#separate(open);
      for (const path of [...open.keys()]) settle(open, path, (each) => each.reject(open.get(path)?.error ?? error));
    } finally {
      end();
      for (const { forget } of everybody) forget();
    }
  }

  /** The right to ask for several at once is often one of its own: without it, each is asked for by itself. */
  #separate(open: OpenPaths): void {
    this.#singlesUntil = this.#options.clock.monotonic() + singlesMs;
    for (const path of [...open.keys()]) {
      settle(open, path, ({ call, resolve, reject }) => void this.#single(path, {}, call).then(resolve, reject));
    }
  }

  /** Asks for what is still open. What fails for a reason that may pass stays open, and its error is thrown. */
  async #attempt(open: OpenPaths, call: Call): Promise<void> {
    const { provider } = this.#options;
    for (const [path, { readers }] of open) {
      if (readers.every(({ call: own }) => own.signal.aborted)) open.delete(path);
    }
    const paths = [...open.keys()];
    const [only] = paths;
    if (only === undefined) return;
    if (paths.length === 1) {
      const stored = await provider.get(only, {}, call);
      settle(open, only, ({ resolve }) => resolve(stored));
      return;
    }
    const answer = await provider.getMany?.(paths, call);
    const absent = new Set(answer?.absent);
    let passing: Error | undefined;
    for (const path of paths) {
      const stored = answer?.found.get(path);
      const failed = answer?.failed.get(path) ?? missingFromAnswer(provider, path);
      if (stored !== undefined || absent.has(path)) settle(open, path, ({ resolve }) => resolve(stored));
      else if (MnopsError.is(failed) && failed.retryable) {
        passing ??= failed;
        const waits = open.get(path);
        if (waits !== undefined) waits.error = failed;
      } else settle(open, path, ({ reject }) => reject(failed));
    }
    if (passing !== undefined) throw passing;
  }
}

function settle(open: OpenPaths, path: string, by: (each: Waiting) => void): void {
  const readers = open.get(path)?.readers ?? [];
  for (const each of readers) by(each);
  open.delete(path);
}

/** One call for several readers: it aborts when the last has gone, and has as much time as the most patient. */
function sharedCall(calls: readonly Call[]): { readonly call: Call; readonly end: () => void } {
  const controller = new AbortController();
  const present = new Set(calls);
  const leaving = calls.map((own) => {
    const leave = (): void => {
      present.delete(own);
      if (present.size === 0) controller.abort(own.signal.reason);
    };
    if (own.signal.aborted) leave();
    else own.signal.addEventListener('abort', leave, { once: true });
    return () => own.signal.removeEventListener('abort', leave);
  });
  const [first] = calls;
  const call: Call = {
    signal: controller.signal,
    remainingMs: () => Math.max(0, ...[...present].map((own) => own.remainingMs())),
    secret: (reference) => first?.secret(reference) ?? Promise.reject(new TypeError('a call for nobody')),
  };
  return {
    call,
    end: () => {
      for (const off of leaving) off();
    },
  };
}

function missingFromAnswer(provider: SecretProvider, path: string): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `${provider.id}: the answer to getMany leaves out ${path}.`, {
    provider: provider.id,
    operation: 'getMany',
    details: { path },
  });
}
