import { withCall } from '../call.js';
import { systemClock } from '../clock.js';
import { coreError } from '../errors/core-error.js';
import type { Call, CallOptions, Clock, HostStatus } from '../spi/base.js';

/** What a host does at each end of its life. */
export interface LifecycleOptions {
  /** Name of the host, for messages. */
  readonly name: string;
  /** Makes the host ready. Its call aborts when the host is stopped meanwhile. */
  readonly start?: ((call: Call) => Promise<void>) | undefined;
  /** Finishes what was accepted; nothing new comes in any more. Its call ends with the grace time. */
  readonly drain?: ((call: Call) => Promise<void>) | undefined;
  /** Releases everything. It runs once, also after a start that failed, and must bear that. */
  readonly close?: (() => Promise<void> | void) | undefined;
  /** Called after each change of the status or its reasons. */
  readonly onStatus?: ((status: HostStatus, reasons: readonly string[]) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** How long a stop may take. */
export interface StopOptions {
  /** Milliseconds for work under way; then it is aborted. Default 10,000. */
  readonly graceMs?: number | undefined;
}

const defaultStartMs = 30_000;
const defaultGraceMs = 10_000;
const mostReasons = 100;

/**
 * The life of a host: started and stopped once, however often and by however many callers it is asked.
 *
 * A stop drains, aborts `signal`, closes. A failed start leaves the status `failed`; it may be tried again. After a stop
 * nothing starts again.
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #clock: Clock;
  readonly #work = new AbortController();
  readonly #reasons = new Set<string>();
  #base: Exclude<HostStatus, 'degraded'> = 'idle';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
  }

  /** `degraded` is a host that is ready, with reasons. */
  get status(): HostStatus {
    return this.#base === 'ready' && this.#reasons.size > 0 ? 'degraded' : this.#base;
  }

  /** Why the host is degraded or failed; sentences for a person. */
  get reasons(): readonly string[] {
    return [...this.#reasons];
  }

  /** Aborts when the grace time of a stop is over; background work listens to it. */
  get signal(): AbortSignal {
    return this.#work.signal;
  }

  /**
   * The host is ready. Callers at the same time share one start.
   *
   * @param options - `timeoutMs`: default 30,000.
   * @throws {MnopsError} What `start` threw; `MNOPS_CORE_TIMEOUT`; `MNOPS_CORE_CLOSED` after a stop. An abort of the
   * first caller's signal ends the start; that of a later caller ends only its own wait.
   */
  async start(options: CallOptions = {}): Promise<void> {
    this.assertUsable();
    if (this.#base === 'ready') return;
    if (this.#starting === undefined) {
      this.#starting = this.#start(options).finally(() => {
        this.#starting = undefined;
      });
      return this.#starting;
    }
    const shared = this.#starting;
    return withCall({ ...options, clock: this.#clock }, () => shared);
  }

  async #start(options: CallOptions): Promise<void> {
    this.#reasons.clear();
    this.#set('starting');
    const { signal, timeoutMs = defaultStartMs } = options;
    const signals = signal === undefined ? [this.#work.signal] : [this.#work.signal, signal];
    try {
      const run = this.#options.start;
      const call = { signal: AbortSignal.any(signals), timeoutMs, clock: this.#clock };
      if (run !== undefined) await withCall(call, run);
      if (this.#stopping === undefined) this.#set('ready');
    } catch (error) {
      if (this.#stopping === undefined) {
        this.#reasons.add(`The start failed: ${error instanceof Error ? error.message : 'unknown reason'}`);
        this.#set('failed');
      }
      throw error;
    }
  }

  /**
   * The host is stopped: work under way had its grace time, was aborted, everything is released. Callers share one stop.
   *
   * @throws What `close` threw; the status is `stopped` also then.
   */
  stop(options: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.graceMs ?? defaultGraceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    const wasReady = this.#base === 'ready';
    this.#set('stopping');
    const stopped = coreError('MNOPS_CORE_ABORTED', `${this.#options.name} was stopped.`);
    if (this.#starting !== undefined) {
      this.#work.abort(stopped);
      await this.#starting.catch(() => undefined);
    } else if (wasReady && this.#options.drain !== undefined) {
      await this.#drain(graceMs);
    }
    this.#work.abort(stopped);
    try {
      await this.#options.close?.();
    } finally {
      this.#reasons.clear();
      this.#set('stopped');
    }
  }

  async #drain(graceMs: number): Promise<void> {
    try {
      await withCall({ timeoutMs: graceMs, clock: this.#clock }, async (call) => this.#options.drain?.(call));
    } catch (error) {
      // What could not be drained in time is aborted; the stop goes on.
      const message = error instanceof Error ? error.message : 'unknown reason';
      this.#reasons.add(`Work was cut off: ${message}`);
    }
  }

  /** The status is `degraded` until `recover` is called with the same reason. At most 100 reasons are kept. */
  degrade(reason: string): void {
    if (this.#reasons.has(reason) || this.#reasons.size >= mostReasons) return;
    this.#reasons.add(reason);
    this.#report();
  }

  /** Takes a reason away; one that was not given changes nothing. */
  recover(reason: string): void {
    if (this.#reasons.delete(reason)) this.#report();
  }

  /** @throws {MnopsError} `MNOPS_CORE_CLOSED` once a stop has begun. */
  assertUsable(): void {
    if (this.#stopping === undefined) return;
    throw coreError('MNOPS_CORE_CLOSED', `${this.#options.name} was stopped.`);
  }

  #set(status: Exclude<HostStatus, 'degraded'>): void {
    this.#base = status;
    this.#report();
  }

  #report(): void {
    this.#options.onStatus?.(this.status, this.reasons);
  }
}
