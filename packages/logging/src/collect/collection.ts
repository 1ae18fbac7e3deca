import { callOf } from '@mnops/core';
import { parseOptions } from '@mnops/core/config';
import type {
  Call,
  Clock,
  JsonValue,
  LogBatch,
  LogEntry,
  LogSource,
  LogStore,
  NewLogEntry,
  SecretResolver,
} from '@mnops/core/spi';
import * as v from 'valibot';
import { loggingError } from '../codes.js';
import { resourceOf } from '../logger/line.js';
import { type LineFormat, parseLine } from '../parse/line.js';
import { type PartialFrames, partialFrames } from './partial-frames.js';

/** How a source is collected. */
export interface CollectOptions {
  /** Name that the position is kept under. Default: the source's id; needed when two sources have the same. */
  readonly id?: string | undefined;
  /** `auto`: JSON where a line is JSON, else text. Default `auto`. */
  readonly format?: LineFormat | undefined;
  /** Keeps the entries for which it returns true. */
  readonly filter?: ((entry: Omit<LogEntry, 'id'>) => boolean) | undefined;
}

/** Counters of a collection. */
export interface CollectionStats {
  readonly batches: number;
  /** Entries kept. */
  readonly entries: number;
  /** Entries that the filter left out. */
  readonly filtered: number;
  /** Times the source was opened again. */
  readonly reconnects: number;
}

/** A source that is being collected. */
export interface Collection {
  readonly id: string;
  /** `waiting`: the host is not started, or the source failed and is opened again shortly. */
  readonly status: 'waiting' | 'running' | 'stopped';
  stats(): CollectionStats;
  /** Ends after the batch in work; the position is kept. */
  stop(): Promise<void>;
}

/** What a collection works with. */
export interface CollectionContext {
  readonly store: LogStore;
  readonly clock: Clock;
  readonly secrets: SecretResolver | undefined;
  readonly maxLineBytes: number;
  failed(error: Error): void;
  recovered(): void;
}

const schema = v.strictObject({
  id: v.optional(v.pipe(v.string(), v.nonEmpty())),
  format: v.optional(v.picklist(['auto', 'json', 'text'])),
  filter: v.optional(v.custom<() => boolean>((value) => typeof value === 'function', 'a function')),
});

const firstDelayMs = 200;
const longestDelayMs = 30_000;

/** Checks the options of a collection. */
export function checkedCollectOptions(options: CollectOptions): CollectOptions {
  return parseOptions('collect', schema, options) as CollectOptions;
}

/** What is kept with the entries of a batch. */
interface Saved {
  readonly [key: string]: JsonValue;
  /** The source's own position. */
  readonly position: JsonValue;
  /** Lines begun and not finished. */
  readonly pending: JsonValue;
}

/** Reads a source into a store, from the last position kept to the end of the host's life. */
export class SourceCollection implements Collection {
  readonly id: string;
  readonly #source: LogSource;
  readonly #options: CollectOptions;
  readonly #abort = new AbortController();
  #status: Collection['status'] = 'waiting';
  #running: Promise<void> | undefined;
  #counts = { batches: 0, entries: 0, filtered: 0, reconnects: 0 };
  #failing = false;

  constructor(source: LogSource, options: CollectOptions) {
    this.id = options.id ?? source.id;
    this.#source = source;
    this.#options = options;
  }

  get status(): Collection['status'] {
    return this.#status;
  }

  stats(): CollectionStats {
    return { ...this.#counts };
  }

  /** Begins; a second call does nothing. */
  begin(context: CollectionContext): void {
    if (this.#status === 'stopped') return;
    this.#running ??= this.#run(context);
  }

  async stop(): Promise<void> {
    this.#status = 'stopped';
    this.#abort.abort();
    await this.#running;
  }

  async #run(context: CollectionContext): Promise<void> {
    const { signal } = this.#abort;
    const call = callOf({ signal, secrets: context.secrets, clock: context.clock });
    let delayMs = firstDelayMs;
    let opened = false;
    try {
      while (!signal.aborted) {
        const before = this.#counts.batches;
        try {
          if (!opened) await this.#source.open?.(call);
          opened = true;
          await this.#read(context, call);
          if (!signal.aborted) this.#report(context, undefined);
        } catch (error) {
          if (!signal.aborted) this.#report(context, error);
        }
        if (signal.aborted) break;
        if (this.#counts.batches > before) delayMs = firstDelayMs;
        this.#status = 'waiting';
        // Full jitter, so that many collectors of one server do not come back at the same moment.
        await pause(context.clock, Math.random() * delayMs, signal);
        delayMs = Math.min(delayMs * 2, longestDelayMs);
        this.#counts.reconnects += 1;
      }
    } finally {
      this.#status = 'stopped';
      if (opened) await this.#source.close?.(call);
      call.end();
    }
  }

  async #read(context: CollectionContext, call: Call): Promise<void> {
    const exact = this.#source.capabilities.resume !== 'none';
    const saved = exact ? ((await context.store.checkpoint(this.id, call)) as Saved | undefined) : undefined;
    const frames = partialFrames(context.maxLineBytes, saved?.pending);
    this.#status = 'running';
    for await (const batch of this.#source.read({ checkpoint: saved?.position }, call)) {
      const entries = this.#entriesOf(batch, frames, context);
      const position = batch.checkpoint;
      const checkpoint =
        position === undefined || !exact ? undefined : { source: this.id, value: { position, pending: frames.save() } };
      if (entries.length > 0 || checkpoint !== undefined) await this.#keep(context, { entries, checkpoint }, call);
      this.#counts.batches += 1;
      this.#counts.entries += entries.length;
      if (this.#failing) {
        this.#failing = false;
        context.recovered();
      }
      if (call.signal.aborted) return;
    }
  }

  /** Appends, again and again while the disk is full: the source waits, and nothing is lost. */
  async #keep(context: CollectionContext, batch: Parameters<LogStore['append']>[0], call: Call): Promise<void> {
    let delayMs = firstDelayMs;
    for (;;) {
      try {
        await context.store.append(batch, call);
        return;
      } catch (error) {
        if (this.#abort.signal.aborted) throw error;
        this.#report(context, error);
        await pause(context.clock, delayMs, this.#abort.signal);
        delayMs = Math.min(delayMs * 2, longestDelayMs);
      }
    }
  }

  #entriesOf(batch: LogBatch, frames: PartialFrames, context: CollectionContext): NewLogEntry[] {
    const observedMs = context.clock.now();
    const resource = batch.identity === undefined ? {} : resourceOf(batch.identity);
    const entries: NewLogEntry[] = [];
    for (const each of batch.frames) {
      const whole = frames.take(batch.stream, each);
      if (whole === undefined) continue;
      const entry = this.#entryOf(whole, { stream: batch.stream, observedMs, resource }, context.maxLineBytes);
      if (entry === undefined) continue;
      if (this.#options.filter?.(entry) === false) this.#counts.filtered += 1;
      else entries.push(entry);
    }
    return entries;
  }

  #entryOf(
    { text, frame, cut }: { text: string; frame: LogBatch['frames'][number]; cut: boolean },
    about: { stream: string; observedMs: number; resource: Record<string, string> },
    maxLineBytes: number,
  ): NewLogEntry | undefined {
    const line = text.endsWith('\r') ? text.slice(0, -1) : text;
    if (line === '') return undefined;
    const attributes = {
      ...frame.attributes,
      ...(frame.channel === 'stderr' && { 'log.iostream': 'stderr' }),
    };
    const origin = { ...about, timeMs: frame.timeMs, attributes };
    if (!cut && line.length <= maxLineBytes) return parseLine(line, origin, this.#options.format);
    const entry = parseLine(line.slice(0, maxLineBytes), origin, 'text');
    return { ...entry, flags: ['truncated'], attributes: { ...entry.attributes, originalLength: line.length } };
  }

  #report(context: CollectionContext, cause: unknown): void {
    this.#failing = true;
    const message = cause === undefined ? `Source ${this.id} ended.` : `Source ${this.id} failed.`;
    context.failed(loggingError('MNOPS_LOGGING_SOURCE_FAILED', message, { provider: this.#source.id, cause }));
  }
}

/** Waits without holding the process. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, done);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    if (signal.aborted) done();
  });
}
