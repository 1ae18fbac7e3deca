import { codeOf, MnopsError, withCall } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import { retry } from '@mnops/core/resilience';
import type { Call, Clock, ExportAnswer, SecretResolver, Span, TraceExporter } from '@mnops/core/spi';
import type { DropReason, ExporterStats } from './delivery-report.js';
import { batchOf, SpanQueue } from './span-queue.js';

/** How spans are collected and sent. */
export interface DispatcherOptions {
  readonly exporter: TraceExporter;
  readonly maxSpans: number;
  readonly maxBytes: number;
  readonly batchSpans: number;
  readonly delayMs: number;
  readonly exportTimeoutMs: number;
  readonly clock: Clock;
  readonly secrets: SecretResolver | undefined;
  readonly random: () => number;
  /** Runs a request without tracing it. */
  readonly quietly: <T>(run: () => T) => T;
  readonly onDropped: (reason: DropReason, count: number, code: string | undefined) => void;
  readonly onDown: (error: MnopsError) => void;
  readonly onUp: () => void;
  /** Told of the sampling rates in an answer. */
  readonly onRates?: ((rates: ReadonlyMap<string, number>) => void) | undefined;
}

/**
 * Delivers spans through one exporter: batches, retries while the back end is away, splits what is too large, and
 * knows at every moment where each span is.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #queue: SpanQueue;
  readonly #stop = new AbortController();
  readonly #dropped: Record<DropReason, number> = {
    'queue-full': 0,
    rejected: 0,
    'too-large': 0,
    failed: 0,
    stopped: 0,
  };
  #accepted = 0;
  #delivered = 0;
  #inFlight = 0;
  #retries = 0;
  #down = false;
  #closed = false;
  #timer: { cancel(): void } | undefined;
  #pump: Promise<void> | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#queue = new SpanQueue(options);
  }

  get stats(): ExporterStats {
    return {
      accepted: this.#accepted,
      delivered: this.#delivered,
      held: this.#queue.size + this.#inFlight,
      dropped: { ...this.#dropped },
      retries: this.#retries,
      down: this.#down,
    };
  }

  /** Takes one finished span. */
  add(span: Span): void {
    this.#accepted += 1;
    if (this.#closed) {
      this.#drop('stopped', 1);
      return;
    }
    const lost = this.#queue.push(span);
    if (lost > 0) this.#drop('queue-full', lost);
    if (this.#pump !== undefined) return;
    if (this.#queue.size >= this.#options.batchSpans) this.#start();
    else this.#timer ??= this.#options.clock.setTimer(this.#options.delayMs, () => this.#start());
  }

  /** Sends everything that is held now. Resolves when it is delivered or given up, rejects when the call ends first. */
  async flush(call: Pick<Call, 'signal'>): Promise<void> {
    call.signal.throwIfAborted();
    const target = this.#accepted;
    let ended = (): void => undefined;
    const aborted = new Promise<void>((_, reject) => {
      const listener = (): void => reject(call.signal.reason);
      call.signal.addEventListener('abort', listener, { once: true });
      ended = () => call.signal.removeEventListener('abort', listener);
    });
    try {
      while (this.#settled < target && this.#queue.size + this.#inFlight > 0) {
        this.#start();
        await Promise.race([this.#pump, aborted]);
      }
    } finally {
      ended();
    }
  }

  /** Gives up what is still held. */
  close(reason: unknown): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stop.abort(reason);
    const left = this.#queue.take(Number.POSITIVE_INFINITY).length;
    if (left > 0) this.#drop('stopped', left);
  }

  get #settled(): number {
    return this.#accepted - this.#queue.size - this.#inFlight;
  }

  #start(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#pump !== undefined || this.#closed) return;
    this.#pump = this.#run().finally(() => {
      this.#pump = undefined;
      // Spans that came during the last request.
      if (this.#queue.size > 0 && !this.#closed) this.#start();
    });
  }

  async #run(): Promise<void> {
    // Encoding happens after the turn in which spans ended, not inside a user's request.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const { batchSpans, exporter } = this.#options;
    const size = Math.min(batchSpans, exporter.capabilities.maxSpansPerRequest);
    while (!this.#closed && this.#queue.size > 0) {
      const spans = this.#queue.take(size);
      this.#inFlight += spans.length;
      await this.#deliver(spans);
    }
  }

  /** Delivers these spans or gives them up; never rejects. */
  async #deliver(spans: readonly Span[]): Promise<void> {
    const { exporter } = this.#options;
    try {
      const { accepted, samplingRates } = await this.#sendWithRetries(spans);
      // An answer cannot speak for more spans than were sent.
      const taken = Number.isFinite(accepted) ? Math.max(0, Math.min(spans.length, Math.trunc(accepted))) : 0;
      this.#up();
      this.#inFlight -= spans.length;
      this.#delivered += taken;
      if (samplingRates !== undefined) this.#options.onRates?.(samplingRates);
      if (taken < spans.length) this.#drop('rejected', spans.length - taken);
    } catch (error) {
      if (!this.#closed && MnopsError.is(error, 'MNOPS_CORE_TOO_LARGE') && spans.length > 1) {
        const middle = Math.ceil(spans.length / 2);
        await this.#deliver(spans.slice(0, middle));
        await this.#deliver(spans.slice(middle));
        return;
      }
      this.#inFlight -= spans.length;
      this.#drop(this.#closed ? 'stopped' : reasonOf(error), spans.length, codeOf(error) ?? exporter.id);
    }
  }

  async #sendWithRetries(spans: readonly Span[]): Promise<ExportAnswer> {
    const { clock, random } = this.#options;
    const signal = this.#stop.signal;
    return await retry(() => this.#send(spans), {
      signal,
      // A back end may be away for hours; only the queue bounds how much is kept for it.
      maxAttempts: Number.POSITIVE_INFINITY,
      baseDelayMs: 500,
      maxDelayMs: 30_000,
      maxRetryAfterMs: Number.POSITIVE_INFINITY,
      random,
      clock: { sleep: (ms, ended) => unheldSleep(clock, Math.min(ms, 300_000), ended) },
      onRetry: ({ error }) => {
        this.#retries += 1;
        if (this.#down) return;
        this.#down = true;
        this.#options.onDown(error);
      },
    });
  }

  async #send(spans: readonly Span[]): Promise<ExportAnswer> {
    const { exporter, exportTimeoutMs, clock, secrets, quietly } = this.#options;
    const limits = { signal: this.#stop.signal, timeoutMs: exportTimeoutMs, secrets, clock };
    const context = { exporter: exporter.id, spans: spans.length };
    // The deadline holds even for an exporter that does not listen to its signal; it is an outage like any other.
    return await quietly(() =>
      traced('mnops:apm:export', context, () =>
        withCall(limits, async (call: Call) => await exporter.export(batchOf(spans), call)),
      ),
    );
  }

  #up(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#options.onUp();
  }

  #drop(reason: DropReason, count: number, code?: string): void {
    this.#dropped[reason] += count;
    this.#options.onDropped(reason, count, code);
  }
}

function reasonOf(error: unknown): DropReason {
  const code = codeOf(error);
  if (code === 'MNOPS_CORE_TOO_LARGE') return 'too-large';
  return code === 'MNOPS_APM_EXPORT_REJECTED' ? 'rejected' : 'failed';
}

/** A wait that does not keep the process alive: delivery is background work. */
function unheldSleep(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ms, () => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    });
    const aborted = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    if (signal?.aborted === true) aborted();
    else signal?.addEventListener('abort', aborted, { once: true });
  });
}
