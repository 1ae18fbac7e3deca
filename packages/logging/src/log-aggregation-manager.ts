import { coreError, systemClock, UnsupportedError, withCall } from '@mnops/core';
import { serviceIdentity } from '@mnops/core/config';
import { type EventHub, eventHub, Lifecycle, processHooks, type StopOptions } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import type {
  CallOptions,
  Clock,
  HealthReport,
  HostStatus,
  LogEntry,
  LogSearch,
  LogSearchResult,
  LogSource,
  Recoverable,
  ServiceIdentity,
  StorageDamage,
} from '@mnops/core/spi';
import { checkCallOptions, type NoOptions } from './call-options.js';
import { loggingError } from './codes.js';
import { type Collection, type CollectOptions, checkedCollectOptions, SourceCollection } from './collect/collection.js';
import { LineDispatch } from './line-dispatch.js';
import { checkedConfig, type LogConfig } from './log-config.js';
import { checkedEntries, type LogEntryInput } from './log-entry-input.js';
import { type LogEvents, type LogStats, logEvents } from './log-stats.js';
import type { LevelSetting } from './logger/level-rules.js';
import { levelNames } from './logger/levels.js';
import { resourceOf } from './logger/line.js';
import { type Logger, managedLogger } from './logger/logger.js';
import { type LoggerCore, loggerCore } from './logger/logger-core.js';
import { type LogQuery, resolveQuery } from './query/log-query.js';
import { logRecoverable } from './recovery/recoverable.js';
import { consoleSink } from './sinks/console.js';
import { type BlockStore, type LineStore, openBlockStore } from './store/block-store.js';
import { memoryStore } from './store/memory-store.js';
import type { DropReason } from './store/store-writer.js';

const defaultQueueBytes = 16 * 1024 * 1024;
const defaultBlockBytes = 4 * 1024 * 1024;
const defaultMemoryBytes = 8 * 1024 * 1024;
const defaultScanBytes = 1024 * 1024 * 1024;
const defaultSearchMs = 30_000;
/** How long an ending process waits for a slow reader of its output. */
const exitWaitMs = 2_000;

/** Limits of one search. */
export interface SearchOptions extends CallOptions {
  /** Bytes of entries that may be read; more makes the answer partial. Default 1 GiB. */
  readonly maxScanBytes?: number | undefined;
}

/**
 * Writes, collects, keeps and finds log entries.
 *
 * The constructor checks the configuration and does no I/O; loggers work at once and hold their lines until `start`.
 */
export class LogAggregationManager implements AsyncDisposable {
  /** Who writes. */
  readonly service: ServiceIdentity;
  /** Backs up and restores the store. */
  readonly recoverable: Recoverable;
  /** Finds kept entries, for other packages. */
  readonly logSearch: LogSearch;
  readonly #config: LogConfig;
  readonly #clock: Clock;
  readonly #core: LoggerCore;
  readonly #dispatch: LineDispatch;
  readonly #lifecycle: Lifecycle;
  readonly #events: EventHub<LogEvents> = eventHub<LogEvents>(logEvents);
  readonly #collections = new Map<string, SourceCollection>();
  readonly #removeHooks: () => void;
  #store: LineStore | undefined;
  #damaged = 0;
  #storeDropped = 0;

  /** @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue at once. */
  constructor(config: LogConfig = {}) {
    this.#config = checkedConfig(config);
    this.service = serviceIdentity(this.#config.service);
    this.#clock = this.#config.clock ?? systemClock();
    const { limits = {}, sinks = [consoleSink()], format } = this.#config;
    this.#dispatch = new LineDispatch(sinks, format, limits.queueBytes ?? defaultQueueBytes, {
      failed: (sink, cause) => this.#sinkFailed(sink, cause),
      recovered: (sink) => this.#sinkRecovered(sink),
      dropped: (sink, lines, reason) => this.#events.emit('lines:dropped', { from: sink, lines, reason }),
    });
    this.#core = loggerCore(this.#config, this.service, this.#clock, this.#dispatch.emit);
    this.#lifecycle = new Lifecycle({
      name: 'The log manager',
      clock: this.#clock,
      start: () => this.#open(),
      drain: () => this.#drain(),
      close: () => this.#close(),
    });
    this.recoverable = logRecoverable({
      folder: this.#config.store === false ? undefined : this.#config.folder,
      flush: () => this.flush(),
      withoutStore: (run) => this.#withoutStore(run),
      lastWriteMs: () => this.#store?.lastWriteMs,
    });
    this.logSearch = {
      specVersion: 1,
      kind: 'log-search',
      id: 'logging',
      search: async (query, call) => await this.#openStore().search(query, call),
    };
    for (const source of this.#config.logSources ?? []) this.collect(source);
    this.#removeHooks = this.#config.processHooks === true ? this.#registerHooks() : () => undefined;
  }

  get status(): HostStatus {
    return this.#lifecycle.status;
  }

  /** Opens sinks and store; lines that were held are written. @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED` */
  start(options?: CallOptions): Promise<void> {
    return this.#lifecycle.start(options);
  }

  /** Ends collections, writes everything out and closes. */
  stop(options?: StopOptions): Promise<void> {
    return this.#lifecycle.stop(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** A logger. Loggers of the same name are equal; a name with dots can be selected by `db.*`. */
  logger(name: string, options: { readonly level?: LevelSetting | undefined } = {}): Logger {
    checkCallOptions('logger', options);
    return managedLogger(this.#core.shared, name, options.level);
  }

  /** Runs a function; entries written in its whole call tree have the fields. `traceId` and `spanId` become those of the entries. */
  runWithContext<T>(fields: object, run: () => T): T {
    return this.#core.shared.context.run(fields, run);
  }

  /** Sets the level of the loggers that a selector names (`db.*`), or with `undefined` takes the setting back. */
  setLevel(selector: string, level: LevelSetting | undefined): void {
    if (level !== undefined && level !== 'silent' && !levelNames.includes(level)) {
      throw coreError('MNOPS_CORE_CONFIG_INVALID', `setLevel: the level is none of ${levelNames.join(', ')}, silent.`);
    }
    this.#core.shared.rules.set(selector, level);
  }

  /** Keeps entries; they are durable when the promise resolves, if the store is. They do not go to the sinks. */
  async append(entries: Iterable<LogEntryInput>, options: CallOptions = {}): Promise<{ readonly entries: number }> {
    checkCallOptions('append', options);
    const store = this.#openStore();
    const nowMs = this.#clock.now();
    const defaults = { nowMs, stream: this.service.name, resource: resourceOf(this.service) };
    const checked = checkedEntries(entries, defaults);
    await traced('mnops:logging:append', { store: store.id, entries: checked.length }, () =>
      withCall({ ...options, clock: this.#clock }, (call) => store.append({ entries: checked }, call)),
    );
    return { entries: checked.length };
  }

  /** Reads a source into the store, going on where it was left, until it is stopped. Before the start it waits for it. */
  collect(source: LogSource, options: CollectOptions = {}): Collection {
    this.#lifecycle.assertUsable();
    if (this.#config.store === false) throw new UnsupportedError('Collected lines need a store; `store` is false.');
    const collection = new SourceCollection(source, checkedCollectOptions(options));
    const running = this.#collections.get(collection.id);
    if (running !== undefined && running.status !== 'stopped') {
      throw coreError('MNOPS_CORE_CONFLICT', `A source ${collection.id} is being collected already.`, {
        remedy: 'Stop that collection first, or give this one an `id` of its own.',
      });
    }
    this.#collections.set(collection.id, collection);
    if (this.#store !== undefined) this.#begin(collection);
    return collection;
  }

  /** Finds entries. @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a wrong query, `MNOPS_CORE_TIMEOUT` after 30 s. */
  search(query: LogQuery = {}, options: SearchOptions = {}): Promise<LogSearchResult> {
    return this.#search(query, options);
  }

  async #search(query: LogQuery, options: SearchOptions): Promise<LogSearchResult> {
    checkCallOptions('search', options);
    const store = this.#openStore();
    const resolved = resolveQuery(query, this.#clock.now(), options.maxScanBytes ?? defaultScanBytes);
    const { signal, timeoutMs = defaultSearchMs } = options;
    return traced('mnops:logging:search', { store: store.id }, (context) =>
      withCall({ signal, timeoutMs, clock: this.#clock }, async (call) => {
        const result = await store.search(resolved, call);
        Object.assign(context, { found: result.entries.length, scannedBytes: result.scannedBytes });
        context['partial'] = result.partial.length > 0;
        return result;
      }),
    );
  }

  /** Matching entries as they arrive from now on, those of other processes in the same folder included. */
  async *tail(query: LogQuery = {}, options: Pick<CallOptions, 'signal'> = {}): AsyncGenerator<LogEntry, void> {
    checkCallOptions('tail', options);
    const store = this.#openStore();
    const resolved = resolveQuery(query, this.#clock.now(), defaultScanBytes);
    const signals = options.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([this.#lifecycle.signal, ...signals]);
    const call = { signal, remainingMs: () => Number.POSITIVE_INFINITY, secret: noSecret };
    yield* store.follow(resolved, call);
  }

  /**
   * What was written before the call is with the sinks and in the store, synced where they can.
   *
   * @throws {MnopsError} `MNOPS_LOGGING_SINK_FAILED`, `MNOPS_LOGGING_STORE_FAILED` when lines are still held.
   */
  async flush(): Promise<void> {
    this.#dispatch.flushNow();
    const failed = await this.#dispatch.sync();
    await this.#store?.sync();
    if (this.#store?.failing === true) {
      throw loggingError('MNOPS_LOGGING_STORE_FAILED', 'The store does not take lines; they are held in memory.');
    }
    if (failed.length > 0) {
      throw loggingError('MNOPS_LOGGING_SINK_FAILED', `Lines are held for ${failed.join(', ')}.`, {
        details: { sinks: failed },
      });
    }
  }

  /** The counters since the constructor. */
  stats(options: NoOptions = {}): LogStats {
    checkCallOptions('stats', options);
    const { counters } = this.#core;
    return {
      ...counters,
      written: { ...counters.written },
      lost: this.#dispatch.lost + this.#storeDropped,
      sinks: this.#dispatch.stats(),
      store: {
        kind: this.#store?.id,
        queuedBytes: this.#store?.queuedBytes ?? 0,
        failing: this.#store?.failing ?? false,
        damaged: this.#damaged,
      },
      collections: Object.fromEntries([...this.#collections].map(([id, each]) => [id, each.stats()])),
    };
  }

  /** Whether entries are written and kept now, and what is wrong. */
  async health(options: NoOptions = {}): Promise<HealthReport> {
    checkCallOptions('health', options);
    const { status, reasons } = this.#lifecycle;
    const judged = { ready: 'healthy', degraded: 'degraded', failed: 'unhealthy', stopped: 'unhealthy' } as const;
    const known = Object.hasOwn(judged, status) ? judged[status as keyof typeof judged] : 'unknown';
    return { status: known, reasons, atMs: this.#clock.now() };
  }

  /** Calls a function at each event; the function returned ends that. */
  on<Name extends keyof LogEvents & string>(event: Name, listener: (value: LogEvents[Name]) => void): () => void {
    return this.#events.on(event, listener);
  }

  async #open(): Promise<void> {
    this.#dispatch.openSinks();
    await this.#openTheStore();
    for (const collection of this.#collections.values()) this.#begin(collection);
  }

  async #openTheStore(): Promise<void> {
    const { folder, store = {}, limits = {} } = this.#config;
    if (store !== false) {
      const { encode } = this.#core;
      const common = { clock: this.#clock, encode };
      this.#store =
        folder === undefined
          ? memoryStore({ ...common, maxBytes: store.memoryBytes ?? defaultMemoryBytes })
          : await openBlockStore({
              ...common,
              folder,
              blockBytes: store.blockBytes ?? defaultBlockBytes,
              maxQueueBytes: limits.queueBytes ?? defaultQueueBytes,
              events: {
                damaged: (damage) => this.#storageDamaged(damage),
                failed: (cause) => this.#storeFailed(cause),
                recovered: () => this.#lifecycle.recover(storeReason),
                dropped: (lines, reason) => this.#storeLost(lines, reason),
              },
            });
    }
    this.#dispatch.connect(this.#store);
  }

  #openStore(): LineStore {
    this.#lifecycle.assertUsable();
    if (this.#store !== undefined) return this.#store;
    if (this.#config.store === false) throw new UnsupportedError('There is no store: `store` is false.');
    throw coreError('MNOPS_CORE_CLOSED', 'The log manager is not started.', {
      remedy: 'Call `await logs.start()` first.',
    });
  }

  async #withoutStore<T>(run: () => Promise<T>): Promise<T> {
    const store = this.#store as BlockStore | undefined;
    if (store === undefined) return run();
    this.#dispatch.disconnectStore();
    await store.close();
    try {
      return await run();
    } finally {
      await this.#openTheStore();
    }
  }

  #begin(collection: SourceCollection): void {
    const reason = `Source ${collection.id} is not being read.`;
    collection.begin({
      store: {
        ...(this.#store as LineStore),
        append: (batch, call) => this.#openStore().append(batch, call),
        checkpoint: (source, call) => this.#openStore().checkpoint(source, call),
      },
      clock: this.#clock,
      secrets: this.#config.secrets,
      maxLineBytes: this.#core.shared.maxLineBytes,
      failed: (error) => {
        this.#lifecycle.degrade(reason);
        this.#events.emit('source:failed', { source: collection.id, error });
      },
      recovered: () => this.#lifecycle.recover(reason),
    });
  }

  async #drain(): Promise<void> {
    await Promise.all([...this.#collections.values()].map((collection) => collection.stop()));
    await this.flush();
  }

  async #close(): Promise<void> {
    this.#removeHooks();
    for (const collection of this.#collections.values()) await collection.stop();
    await this.#dispatch.close();
    await this.#store?.close();
  }

  #registerHooks(): () => void {
    return processHooks().register({
      name: `@mnops/logging ${this.service.name}`,
      flush: () => this.flush(),
      writeNow: () => {
        this.#dispatch.drainNow(exitWaitMs, this.#store);
        this.#store?.flushNow();
      },
    });
  }

  #sinkFailed(sink: string, cause: unknown): void {
    this.#lifecycle.degrade(`Sink ${sink} does not take lines.`);
    const error = loggingError('MNOPS_LOGGING_SINK_FAILED', `Sink ${sink} does not take lines.`, {
      provider: sink,
      cause,
    });
    this.#events.emit('sink:failed', { sink, error });
  }

  #sinkRecovered(sink: string): void {
    this.#lifecycle.recover(`Sink ${sink} does not take lines.`);
    this.#events.emit('sink:recovered', { sink });
  }

  #storeFailed(cause: unknown): void {
    this.#lifecycle.degrade(storeReason);
    const error = loggingError('MNOPS_LOGGING_STORE_FAILED', storeReason, { provider: 'block-store', cause });
    this.#events.emit('store:failed', { error });
  }

  #storeLost(lines: number, reason: DropReason): void {
    this.#storeDropped += lines;
    this.#events.emit('lines:dropped', { from: 'store', lines, reason });
  }

  #storageDamaged(damage: StorageDamage): void {
    this.#damaged += 1;
    this.#lifecycle.degrade(`${damage.file} is damaged at byte ${damage.offset}.`);
    this.#events.emit('storage:damaged', damage);
  }
}

const storeReason = 'The store does not take lines.';

async function noSecret(): Promise<string> {
  throw new UnsupportedError('A log store resolves no secrets.');
}
