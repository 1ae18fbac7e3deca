import { codeOf, MnopsError, withCall } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type { Call, Clock, ExportAnswer, SecretResolver, Span, TraceExporter } from '@mnops/core/spi';
import { shortenSpan } from '../encoding/shorten-span.js';
import { Circuit } from './circuit.js';
import type { DropReason, ExporterStats } from './delivery-report.js';
import type { HeldBatch } from './held-batch.js';
import { HeldSpans, type HeldSpansDisk } from './held-spans.js';
import { batchOf } from './span-queue.js';
import type { SpoolRecord } from './spool-segment.js';

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
  readonly onDropped: (reason: DropReason, count: number, code?: string, file?: string, cause?: unknown) => void;
  /** @param code - Of the error, or the exporter's id where it failed without one. */
  readonly onDown: (code: string, cause: unknown) => void;
  readonly onUp: () => void;
  /** Told of the sampling rates in an answer. */
  readonly onRates?: ((rates: ReadonlyMap<string, number>) => void) | undefined;
}

/** A disk, and how often held spans are written to it. */
export interface DispatcherDisk extends HeldSpansDisk {
  readonly intervalMs: number;
}

/** Longest texts that are tried for a span that is too large, one after the other. */
const shorterTexts = [4_096, 1_024, 256];
/** Refusals as bad data until spans on disk are given up, if the back end takes others, or has taken none for so long. */
const mostRefusals = 3;
const longestRefusalMs = 300_000;
/** Batches that are tried one after the other, while each is refused, without a wait. */
const mostQuickRefusals = 8;
/** Errors about the back end's address or the credential: another day the same spans may pass. */
const passing: readonly unknown[] = ['MNOPS_CORE_UNAUTHENTICATED', 'MNOPS_CORE_ACCESS_DENIED', 'MNOPS_CORE_NOT_FOUND'];

/**
 * Delivers spans through one exporter: batches, retries while the back end is away, splits what is too large, and
 * knows at every moment where each span is. With a disk, what is not delivered soon is there too.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #held: HeldSpans;
  readonly #circuit: Circuit;
  readonly #stop = new AbortController();
  readonly #dropped: Record<DropReason, number> = {
    'queue-full': 0,
    rejected: 0,
    'too-large': 0,
    failed: 0,
    stopped: 0,
    'spool-full': 0,
    'spool-expired': 0,
    'spool-damaged': 0,
  };
  #accepted = 0;
  #replayed = 0;
  #delivered = 0;
  #shortened = 0;
  /** Spans on their way that are counted already, while others of their request are not. */
  #settledEarly = 0;
  #retries = 0;
  #down = false;
  /** Requests refused one after the other. */
  #refusedInARow = 0;
  /** Requests that were taken so far. */
  #taken = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #disk: DispatcherDisk | undefined;
  #timer: { cancel(): void } | undefined;
  #diskTimer: { cancel(): void } | undefined;
  #pump: Promise<void> | undefined;
  /** Ends the wait for the next attempt. */
  #hurry: (() => void) | undefined;
  /** Hears of each attempt that failed. */
  #failedAgain: (() => Promise<void>) | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#held = new HeldSpans(options, options.clock, (reason, count) => this.#drop(reason, count));
    this.#circuit = new Circuit(options.random);
  }

  get stats(): ExporterStats {
    const spool = this.#disk?.spool.stats;
    return {
      accepted: this.#accepted,
      delivered: this.#delivered,
      held: this.#inHand,
      replayed: this.#replayed,
      dropped: { ...this.#dropped },
      shortened: this.#shortened,
      retries: this.#retries,
      down: this.#down,
      circuit: this.#circuit.state,
      ...(spool === undefined ? {} : { spool: { ...spool, spans: this.#held.onDisk } }),
    };
  }

  get #inHand(): number {
    return this.#held.held - this.#settledEarly;
  }

  /** From now on spans are kept on this disk until they are delivered. */
  attach(disk: DispatcherDisk): void {
    this.#disk = disk;
    this.#held.attach(disk);
    this.#keepSoon();
  }

  /** Takes spans of a process that ended. */
  adopt(records: readonly SpoolRecord[]): void {
    const count = records.reduce((sum, record) => sum + record.count, 0);
    this.#accepted += count;
    this.#replayed += count;
    this.#held.adopt(records);
    this.#start();
  }

  /** Spans on disk were given up. */
  lost(record: SpoolRecord, reason: DropReason): void {
    this.#held.lost(record, reason);
  }

  /** The file of spans was removed by others. */
  gone(record: SpoolRecord): void {
    this.#held.gone(record);
    this.#keepSoon();
  }

  /** Takes one finished span. */
  add(span: Span): void {
    this.#accepted += 1;
    if (this.#closed) {
      this.#drop('stopped', 1);
      return;
    }
    this.#held.add(span);
    this.#keepSoon();
    if (this.#pump !== undefined) return;
    if (this.#held.waiting >= this.#options.batchSpans) this.#start();
    else this.#timer ??= this.#options.clock.setTimer(this.#delayMs, () => this.#start());
  }

  /** Where a disk waits, spans are sent before they are due there: while all is well, nothing is written. */
  get #delayMs(): number {
    const { delayMs } = this.#options;
    return this.#disk === undefined ? delayMs : Math.min(delayMs, this.#disk.intervalMs / 2);
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
    this.#hurry?.();
    try {
      while (this.#accepted - this.#inHand < target && this.#inHand > 0) {
        // Nothing is sent any more: waiting would be for ever.
        this.#stop.signal.throwIfAborted();
        this.#start();
        await Promise.race([this.#pump ?? this.#closing, aborted]);
      }
    } finally {
      ended();
    }
  }

  /** As `flush`; but once the back end fails meanwhile, what is held on disk is enough. */
  async flushOrKeep(call: Pick<Call, 'signal'>): Promise<void> {
    const kept = new Promise<void>((resolve) => {
      this.#failedAgain = async () => {
        if (this.#disk === undefined) return;
        await this.#held.persist();
        if (this.#held.unwrittenSinceMs === undefined) resolve();
      };
    });
    try {
      await Promise.race([this.flush(call), kept]);
    } finally {
      this.#failedAgain = undefined;
    }
  }

  /** Writes what is held to disk before it returns; for a process that ends. */
  persistNow(): void {
    if (!this.#closed) this.#held.persistNow();
  }

  /** Writes what is held to disk, and gives up what the disk does not take. */
  close(reason: unknown): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: unknown): Promise<void> {
    this.#timer?.cancel();
    this.#diskTimer?.cancel();
    this.#closed = true;
    await this.#held.persist();
    this.#stop.abort(reason);
    await this.#pump;
    await this.#held.persist();
    const left = this.#held.abandon();
    if (left > 0) this.#drop('stopped', left);
    await this.#disk?.spool.close();
  }

  /** Spans are on disk at the latest one interval after they came; those that are delivered before need not. */
  #keepSoon(): void {
    const disk = this.#disk;
    if (disk === undefined || this.#diskTimer !== undefined || this.#closed) return;
    const { clock } = this.#options;
    const since = this.#held.unwrittenSinceMs;
    if (since === undefined) return;
    const again = (): void => {
      this.#diskTimer = undefined;
      this.#keepSoon();
    };
    // What the disk did not take waits as long as what comes now.
    const waitMs = disk.spool.writable ? Math.max(0, since + disk.intervalMs - clock.monotonic()) : disk.intervalMs;
    this.#diskTimer = clock.setTimer(waitMs, () => {
      const oldest = this.#held.unwrittenSinceMs;
      if (oldest === undefined || oldest + disk.intervalMs > clock.monotonic()) again();
      else this.#held.persist().then(again, again);
    });
  }

  #start(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#pump !== undefined || this.#closed) return;
    this.#pump = this.#run().finally(() => {
      this.#pump = undefined;
      // Spans that came during the last request.
      if (this.#held.waiting > 0 && !this.#closed) this.#start();
    });
  }

  async #run(): Promise<void> {
    // Encoding happens after the turn in which spans ended, not inside a user's request.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (!this.#closed && this.#held.waiting > 0) {
      const batches = await this.#held.take(this.#size);
      if (batches.length > 0) await this.#deliverBatches(batches);
    }
  }

  get #size(): number {
    const { batchSpans, exporter } = this.#options;
    return Math.min(batchSpans, exporter.capabilities.maxSpansPerRequest);
  }

  /** Delivers these batches, gives them up or gives them back; never rejects. */
  async #deliverBatches(batches: readonly HeldBatch[]): Promise<void> {
    const spans = batches.flatMap((batch) => batch.spans ?? []);
    for (let from = 0; from < spans.length; from += this.#size) {
      const part = spans.slice(from, from + this.#size);
      const refused = await this.#deliver(part);
      if (refused === undefined) continue;
      this.#refused(refused);
      if (this.#mayReturn(batches, refused, part.length === spans.length)) {
        await this.#afterRefusal(batches);
        return;
      }
      await this.#giveUp(part, refused);
    }
    this.#settledEarly -= spans.length;
    this.#held.settle(batches);
  }

  /** Whether spans that were not taken stay held. */
  #mayReturn(batches: readonly HeldBatch[], error: unknown, untouched: boolean): boolean {
    if (!untouched) return false;
    if (this.#closed) {
      this.#held.giveBack(batches);
      return true;
    }
    if (this.#disk === undefined || reasonOf(error) === 'too-large') return false;
    // Together with others it may be refused for what is wrong with them: from now on each is sent alone.
    const nowMs = this.#options.clock.monotonic();
    for (const batch of batches) {
      batch.refusals += 1;
      batch.refusedSinceMs ??= nowMs;
      batch.takenBefore ??= this.#taken;
    }
    if (batches.length === 1 && this.#isHopeless(batches[0] as HeldBatch, nowMs)) return false;
    this.#held.giveBack(batches);
    return true;
  }

  /** A back end that refuses everything may be at fault itself; one that takes other spans finds something wrong with these. */
  #isHopeless({ refusals, refusedSinceMs = 0, takenBefore = 0 }: HeldBatch, nowMs: number): boolean {
    return refusals >= mostRefusals && (this.#taken > takenBefore || nowMs - refusedSinceMs >= longestRefusalMs);
  }

  /** Notes that a request was refused in a way that is not tried again by itself. */
  #refused(error: unknown): void {
    if (this.#closed || reasonOf(error) === 'too-large') return;
    this.#refusedInARow += 1;
    if (passing.includes(codeOf(error)) || this.#refusedInARow > 1) this.#wentDown(error);
  }

  /** Where nothing is taken, what was given back is not sent again at once. */
  async #afterRefusal(batches: readonly HeldBatch[]): Promise<void> {
    const [batch] = batches;
    if (this.#closed || batches.length !== 1 || batch === undefined) return;
    const isAgain = batch.refusedAloneAt === this.#taken;
    batch.refusedAloneAt = this.#taken;
    if (!isAgain && this.#refusedInARow <= mostQuickRefusals) return;
    const waitMs = this.#circuit.failed(undefined);
    this.#failedAgain?.().catch(() => undefined);
    await this.#pause(waitMs, false).catch(() => undefined);
    this.#circuit.probe();
  }

  /** Counts spans out that were not taken, or back in while the manager stops: `close` decides about those. */
  async #giveUp(spans: readonly Span[], error: unknown): Promise<void> {
    if (this.#closed) {
      this.#settlePart(spans.length, () => this.#held.restore(spans));
      return;
    }
    const reason = reasonOf(error);
    const file = reason === 'too-large' ? undefined : await this.#held.quarantine(spans).catch(() => undefined);
    const code = codeOf(error) ?? this.#options.exporter.id;
    this.#settlePart(spans.length, () => this.#drop(reason, spans.length, code, file, error));
  }

  /** Delivers these spans, also in parts. @returns The error, when none of them was taken. */
  async #deliver(spans: readonly Span[]): Promise<unknown> {
    try {
      const { accepted, samplingRates } = await this.#sendWithRetries(spans);
      // An answer cannot speak for more spans than were sent.
      const taken = Number.isFinite(accepted) ? Math.max(0, Math.min(spans.length, Math.trunc(accepted))) : 0;
      this.#up();
      this.#settlePart(spans.length, () => {
        this.#delivered += taken;
        if (taken < spans.length) this.#drop('rejected', spans.length - taken);
      });
      if (samplingRates !== undefined) this.#options.onRates?.(samplingRates);
      return undefined;
    } catch (error) {
      // `undefined` says that the spans are settled, and an exporter may reject with just that.
      if (this.#closed || !MnopsError.is(error, 'MNOPS_CORE_TOO_LARGE')) return error ?? nothingSaid;
      if (spans.length === 1) return await this.#deliverShortened(spans[0] as Span, error);
      const middle = Math.ceil(spans.length / 2);
      for (const half of [spans.slice(0, middle), spans.slice(middle)]) {
        const refused = await this.#deliver(half);
        if (refused !== undefined) await this.#giveUp(half, refused);
      }
      return undefined;
    }
  }

  /** A single span that is too large: its longest texts are cut. */
  async #deliverShortened(span: Span, tooLarge: unknown): Promise<unknown> {
    let error = tooLarge;
    for (const text of shorterTexts) {
      // Lists are cut to as many members as texts have hundreds.
      const smaller = shortenSpan(span, { text, list: Math.floor(text / 100) });
      if (smaller === span) continue;
      try {
        const { accepted } = await this.#sendWithRetries([smaller]);
        this.#up();
        this.#settlePart(1, () => {
          if (accepted >= 1) {
            this.#delivered += 1;
            this.#shortened += 1;
          } else this.#drop('rejected', 1);
        });
        return undefined;
      } catch (next) {
        error = next;
        if (this.#closed || !MnopsError.is(next, 'MNOPS_CORE_TOO_LARGE')) break;
      }
    }
    return error;
  }

  async #sendWithRetries(spans: readonly Span[]): Promise<ExportAnswer> {
    const signal = this.#stop.signal;
    for (;;) {
      signal.throwIfAborted();
      try {
        const answer = await this.#send(spans);
        this.#circuit.succeeded();
        this.#taken += 1;
        this.#refusedInARow = 0;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        // A back end may be away for hours; only the bounds of what is held limit how long it is asked again.
        if (!MnopsError.is(error) || !this.#passes(error)) {
          if (this.#refusedInARow === 0) this.#circuit.succeeded();
          throw error;
        }
        const waitMs = this.#circuit.failed(error.retryAfterMs);
        this.#retries += 1;
        this.#wentDown(error);
        this.#failedAgain?.().catch(() => undefined);
        await this.#pause(waitMs, (error.retryAfterMs ?? 0) > 0);
        this.#circuit.probe();
      }
    }
  }

  /** Whether the same spans may pass later. */
  #passes(error: MnopsError): boolean {
    return error.retryable || (this.#disk !== undefined && passing.includes(error.code));
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

  /** A wait that does not keep the process alive: delivery is background work. A flush ends it, unless the back end asked for it. */
  #pause(ms: number, asked: boolean): Promise<void> {
    const signal = this.#stop.signal;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', aborted);
        this.#hurry = undefined;
      };
      const timer = this.#options.clock.setTimer(ms, () => {
        end();
        resolve();
      });
      const aborted = (): void => {
        end();
        reject(signal.reason);
      };
      if (signal.aborted) aborted();
      else signal.addEventListener('abort', aborted, { once: true });
      if (asked) return;
      this.#hurry = () => {
        end();
        resolve();
      };
    });
  }

  /** Counts spans of a request that has others still on their way. */
  #settlePart(count: number, note: () => void): void {
    this.#settledEarly += count;
    note();
  }

  #wentDown(error: unknown): void {
    if (this.#down) return;
    this.#down = true;
    this.#options.onDown(codeOf(error) ?? this.#options.exporter.id, error);
  }

  #up(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#options.onUp();
  }

  #drop(reason: DropReason, count: number, code?: string, file?: string, cause?: unknown): void {
    this.#dropped[reason] += count;
    this.#options.onDropped(reason, count, code, file, cause);
  }
}

const nothingSaid = new Error('The exporter failed without an error.');

function reasonOf(error: unknown): DropReason {
  const code = codeOf(error);
  if (code === 'MNOPS_CORE_TOO_LARGE') return 'too-large';
  return code === 'MNOPS_APM_EXPORT_REJECTED' ? 'rejected' : 'failed';
}
